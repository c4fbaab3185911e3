//! Channels that come and go over paths with loss, bursts, reordering, duplication and corruption.

use peerloom_datachannel::sctp::sim::LinkConfig;
use peerloom_datachannel::{ChannelKey, ChannelOptions, SessionEvent};

use crate::net::{End, Net, SECOND, labelled};

/// Both ends open channels, send on them at once, close some of them at once, and use their ids
/// again. Whatever the path does, every channel of one end appears once at the other with all its
/// messages in order, every one is closed at both ends, and no rule is found broken.
#[test]
fn channels_come_and_go_over_adverse_paths() {
    for seed in 0..100 {
        let mut net = Net::connected(seed);
        net.link.set(&LinkConfig::adverse(seed));
        let mut opened: [Vec<(ChannelKey, String)>; 2] = Default::default();
        for round in 0..6 {
            for (opened, end) in opened.iter_mut().zip([&mut net.a, &mut net.b]) {
                for n in 0..3 {
                    let label = format!("{round}.{n}");
                    let ordered = n != 1;
                    let options = ChannelOptions {
                        ordered,
                        ..labelled(&label)
                    };
                    let key = end.open(net.now, options);
                    for message in 0..4u8 {
                        end.send(net.now, key, &[round, n, message]);
                    }
                    if n == 2 {
                        end.session().close(net.now, key);
                    }
                    opened.push((key, label));
                }
            }
            net.run_for(SECOND / 10);
        }
        for (opened, end) in opened.iter().zip([&mut net.a, &mut net.b]) {
            for (key, _) in opened {
                end.session().close(net.now, *key);
            }
        }
        net.run_until(600 * SECOND, |net| {
            let closed = |end: &End| {
                end.events
                    .iter()
                    .filter(|e| matches!(e, SessionEvent::Closed { .. }))
                    .count()
            };
            closed(&net.a) == 36 && closed(&net.b) == 36
        });
        for (opened, other) in opened.iter().zip([&net.b, &net.a]) {
            let mut incoming = other.incoming();
            incoming.sort_by(|(_, x, _), (_, y, _)| x.label.cmp(&y.label));
            let labels: Vec<_> = incoming
                .iter()
                .map(|(_, options, _)| &options.label)
                .collect();
            assert_eq!(
                labels,
                opened.iter().map(|(_, label)| label).collect::<Vec<_>>()
            );
            for (key, options, _) in &incoming {
                let mut messages: Vec<_> = other
                    .messages(*key)
                    .into_iter()
                    .map(|(_, payload)| payload[2])
                    .collect();
                if !options.ordered {
                    messages.sort_unstable();
                }
                assert_eq!(
                    messages,
                    [0, 1, 2, 3],
                    "seed {seed}, channel {}",
                    options.label
                );
            }
        }
        for end in [&mut net.a, &mut net.b] {
            assert_eq!(end.stats().drops, Default::default(), "seed {seed}");
            assert_eq!(end.session().channels(), 0);
            assert_eq!(end.held(), 0);
        }
    }
}
