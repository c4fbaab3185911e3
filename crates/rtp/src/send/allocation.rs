//! Divides what the path carries among the streams.

/// What one stream wants; rates in bit/s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamDemand {
    /// Below it the stream is of no use: it gets this or nothing.
    pub min: u64,
    /// More is of no use. Less than `min` counts as `min`.
    pub max: u64,
    /// The share of what is left beyond the minima, relative to other streams. Zero gets what
    /// nobody else has a use for.
    pub weight: u16,
}

/// Divides `total`, in bit/s, among `demands`, into `rates`, which is as long (what it has more is
/// left alone). The first demands are the most important: minima are served in their order, and a
/// stream whose minimum does not fit gets nothing. What is left goes by weight, and what a stream
/// has no use for goes to the others. Returns what remains in the end. Never more than `total` is
/// given away.
///
/// Takes time in the square of the number of streams at worst.
pub fn allocate(total: u64, demands: &[StreamDemand], rates: &mut [u64]) -> u64 {
    let mut left = total;
    for (demand, rate) in demands.iter().zip(&mut *rates) {
        *rate = if demand.min <= left { demand.min } else { 0 };
        left -= *rate;
    }
    // A round either gives everything away or fills a stream.
    for _ in 0..demands.len() {
        let given = share(left, demands, rates, |demand| demand.weight.into());
        left -= given;
        if given == 0 {
            break;
        }
    }
    for _ in 0..demands.len() {
        let given = share(left, demands, rates, |demand| u64::from(demand.weight == 0));
        left -= given;
        if given == 0 {
            break;
        }
    }
    left
}

/// Gives each stream that can use it its part of `left`; says how much was given.
fn share(
    left: u64,
    demands: &[StreamDemand],
    rates: &mut [u64],
    weight: impl Fn(&StreamDemand) -> u64,
) -> u64 {
    let room = |demand: &StreamDemand, rate: u64| {
        let is_served = rate >= demand.min;
        if is_served {
            demand.max.saturating_sub(rate)
        } else {
            0
        }
    };
    let weights: u64 = demands
        .iter()
        .zip(&*rates)
        .filter(|(demand, rate)| room(demand, **rate) > 0)
        .map(|(demand, _)| weight(demand))
        .sum();
    let mut given = 0;
    for (demand, rate) in demands.iter().zip(rates) {
        let part = u128::from(left) * u128::from(weight(demand));
        let part = part.checked_div(weights.into()).unwrap_or(0) as u64;
        let more = part.min(room(demand, *rate));
        *rate += more;
        given += more;
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(min: u64, max: u64, weight: u16) -> StreamDemand {
        StreamDemand { min, max, weight }
    }

    fn rates(total: u64, demands: &[StreamDemand]) -> (Vec<u64>, u64) {
        let mut rates = vec![7; demands.len()];
        let left = allocate(total, demands, &mut rates);
        assert_eq!(rates.iter().sum::<u64>() + left, total);
        (rates, left)
    }

    /// Minima first and in order, then weights, then what others have no use for.
    #[test]
    fn order() {
        let demands = [
            demand(32, 64, 0),
            demand(100, 1000, 1),
            demand(100, 4000, 3),
        ];
        assert_eq!(rates(31, &demands), (vec![0, 0, 0], 31));
        // 18 are left and the second can use them.
        assert_eq!(rates(150, &demands), (vec![32, 118, 0], 0));
        assert_eq!(rates(632, &demands), (vec![32, 200, 400], 0));
        assert_eq!(rates(3832, &demands), (vec![32, 1000, 2800], 0));
        assert_eq!(rates(5042, &demands), (vec![42, 1000, 4000], 0));
        assert_eq!(rates(6000, &demands), (vec![64, 1000, 4000], 936));
        assert_eq!(rates(5, &[]), (vec![], 5));
    }
}
