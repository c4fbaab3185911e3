//! Many channels: linear in number, bounded in memory.

use peerloom_datachannel::{ChannelKey, OpenError, SessionConfig};

use crate::net::{Net, SECOND, labelled};

/// 32,768 ids of one parity and 32,766 of the other: all of them open, carry a message, and close.
/// Any scan per event would make this quadratic and take minutes.
#[test]
fn sixty_five_thousand_channels_open_and_close() {
    let mut net = Net::connected(1);
    let ours: Vec<_> = (0..32_768)
        .map(|_| net.a.open(net.now, labelled("")))
        .collect();
    let theirs: Vec<_> = (0..32_766)
        .map(|_| net.b.open(net.now, labelled("")))
        .collect();
    let (mut a, mut b) = (0, 0);
    run_until_both(
        &mut net,
        |events| events.iter().filter(|e| is_opened(e)).count(),
        |x, y| {
            a += x;
            b += y;
            (a, b) == (32_768, 32_766)
        },
    );
    assert_eq!(net.a.session().channels(), 65_534);
    let now = net.now;
    assert_eq!(
        net.a.session().open(now, labelled("one more")),
        Err(OpenError::NoIdLeft { streams: 65_535 }),
    );
    let last = *ours.last().unwrap();
    assert_eq!(net.a.session().id(last), Some(65_534));
    net.a.send(net.now, last, b"the last one works");
    net.run_for(SECOND);

    for key in &ours {
        net.a.session().close(net.now, *key);
    }
    for key in &theirs {
        net.b.session().close(net.now, *key);
    }
    run_until_both(&mut net, |_| 0, |_, _| false);
    assert_eq!(net.a.session().channels(), 0);
    assert_eq!(net.b.session().channels(), 0);
    let again: ChannelKey = net.a.open(net.now, labelled("again"));
    assert_eq!(net.a.session().id(again), Some(0));
}

#[test]
fn the_callers_channels_are_capped() {
    let mut config = SessionConfig::default();
    config.limits.channels = 2;
    let mut net = Net::new(2, config, SessionConfig::default());
    net.a.open(net.now, labelled(""));
    let second = net.a.open(net.now, labelled(""));
    let now = net.now;
    let refused = net.a.session().open(now, labelled(""));
    assert_eq!(refused, Err(OpenError::TooManyChannels { max: 2 }));
    net.a.session().close(now, second);
    net.a.open(now, labelled(""));
}

/// OPENs wait when the association's queue is full, and nothing is lost or reordered.
#[test]
fn opens_wait_for_room_in_the_association() {
    let mut config = SessionConfig::default();
    config.association_limits.send_queue = 4000;
    let mut net = Net::new(3, config, SessionConfig::default());
    net.connect();
    let label = "x".repeat(900);
    let keys: Vec<_> = (0..50)
        .map(|_| net.a.open(net.now, labelled(&label)))
        .collect();
    assert_eq!(net.a.session().id(keys[49]), None);
    net.run_until(30 * SECOND, |net| net.a.opened(keys[49]));
    let ids: Vec<_> = keys
        .iter()
        .map(|key| net.a.session().id(*key).unwrap())
        .collect();
    assert_eq!(ids, (0..50).map(|n| 2 * n).collect::<Vec<_>>());
    assert_eq!(net.b.incoming().len(), 50);
}

/// Runs in steps, dropping the events it has counted, until `done` or both ends are without
/// channels.
fn run_until_both(
    net: &mut Net,
    count: impl Fn(&[peerloom_datachannel::SessionEvent]) -> usize,
    mut done: impl FnMut(usize, usize) -> bool,
) {
    for _ in 0..600 {
        net.run_for(SECOND / 5);
        let counts = (count(&net.a.events), count(&net.b.events));
        net.a.events.clear();
        net.b.events.clear();
        if done(counts.0, counts.1)
            || (net.a.session().channels() == 0 && net.b.session().channels() == 0)
        {
            return;
        }
    }
    panic!(
        "{} and {} channels after two minutes",
        net.a.session().channels(),
        net.b.session().channels(),
    );
}

fn is_opened(event: &peerloom_datachannel::SessionEvent) -> bool {
    matches!(event, peerloom_datachannel::SessionEvent::Opened(_))
}
