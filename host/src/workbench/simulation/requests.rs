//! Requests in the order in which they arrive: made up, or out of a trace.

use std::{net::Ipv4Addr, time::Duration};

use super::dice::Dice;
use crate::config::{
    cases::Given,
    scenario::{Arrival, Arrivals, Scenario},
};

/// A request that arrives.
#[derive(Debug, Clone)]
pub struct Request {
    pub at: Duration,
    /// Which of the different requests it is; equal ones have equal inputs.
    pub kind: usize,
    /// How long a server works at it, if the trace says so.
    pub service: Option<Duration>,
}

/// All requests of a run. The same for each plugin that is compared.
#[derive(Debug)]
pub struct Requests {
    pub kinds: Vec<Given>,
    pub arrivals: Vec<Request>,
}

impl Requests {
    pub fn of_trace(trace: &[Arrival]) -> Self {
        let kinds = trace.iter().map(|arrival| arrival.given.clone()).collect();
        let arrivals = trace.iter().enumerate().map(|(kind, arrival)| Request {
            at: arrival.at,
            kind,
            service: arrival.service,
        });
        Self {
            kinds,
            arrivals: arrivals.collect(),
        }
    }

    pub fn made_up(scenario: &Scenario) -> Self {
        let mut clients = Clients::new(scenario);
        let mut times = Times::new(scenario);
        let arrivals = (0..scenario.requests).map(|_| Request {
            at: times.next(),
            kind: clients.next(),
            service: None,
        });
        Self {
            arrivals: arrivals.collect(),
            kinds: (0..scenario.keys).map(client).collect(),
        }
    }
}

/// A client with an address, a cookie and a path of its own, so that whatever a plugin goes by is a key.
fn client(number: u32) -> Given {
    let mut given = Given::default();
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number + 1);
    given.request.client = (address, 40_000).into();
    given.request.target = format!("/item/{number}?client={number}");
    let session = format!("session=s{number}");
    given.request.headers = vec![
        ("cookie".to_owned(), session),
        ("x-client".to_owned(), number.to_string()),
    ];
    given
}

/// Who asks.
struct Clients {
    dice: Dice,
    /// For each client, the share of the requests that it and those before it make.
    shares: Vec<f64>,
}

impl Clients {
    fn new(scenario: &Scenario) -> Self {
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=scenario.keys)
            .map(|rank| {
                sum += f64::from(rank).powf(-scenario.skew);
                sum
            })
            .collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Self {
            dice: Dice::new(scenario.seed, 1),
            shares,
        }
    }

    fn next(&mut self) -> usize {
        let share = self.dice.share();
        let client = self.shares.partition_point(|&upto| upto <= share);
        client.min(self.shares.len() - 1)
    }
}

/// When.
struct Times {
    dice: Dice,
    arrivals: Arrivals,
    now: Duration,
    /// Requests of the current burst that are still to come.
    left: u32,
}

impl Times {
    fn new(scenario: &Scenario) -> Self {
        Self {
            dice: Dice::new(scenario.seed, 2),
            arrivals: scenario.arrivals,
            now: Duration::ZERO,
            left: 0,
        }
    }

    fn next(&mut self) -> Duration {
        let mean = |rate: f64| Duration::from_secs_f64(1.0 / rate);
        self.now += match self.arrivals {
            Arrivals::Constant { rate } => mean(rate),
            Arrivals::Poisson { rate } => self.dice.exponential(mean(rate)),
            Arrivals::Bursty { .. } if self.left > 0 => {
                self.left -= 1;
                Duration::ZERO
            }
            Arrivals::Bursty { rate, size } => {
                self.left = size - 1;
                self.dice.exponential(mean(rate / f64::from(size)))
            }
        };
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(arrivals: &str) -> Scenario {
        Scenario {
            arrivals: arrivals.parse().unwrap(),
            requests: 20_000,
            keys: 10,
            ..Scenario::default()
        }
    }

    #[test]
    fn requests_arrive_at_the_rate_that_was_asked_for() {
        for arrivals in ["constant:100/s", "poisson:100/s", "bursty:100/s,20"] {
            let requests = Requests::made_up(&scenario(arrivals));
            let last = requests.arrivals.last().unwrap().at.as_secs_f64();
            assert!((last / 200.0 - 1.0).abs() < 0.1, "{arrivals}: {last} s");
        }
    }

    #[test]
    fn a_burst_comes_at_once() {
        let requests = Requests::made_up(&scenario("bursty:100/s,20"));
        let burst = &requests.arrivals[..21];
        assert!(burst[..20].iter().all(|request| request.at == burst[0].at));
        assert!(burst[20].at > burst[0].at);
    }

    #[test]
    fn with_skew_the_first_client_asks_most() {
        let counts = |skew| {
            let scenario = Scenario {
                skew,
                ..scenario("constant:1/s")
            };
            let mut counts = [0; 10];
            for request in Requests::made_up(&scenario).arrivals {
                counts[request.kind] += 1;
            }
            counts
        };
        let (even, zipf) = (counts(0.0), counts(1.0));
        assert!(
            even.iter().all(|count| (1_800..2_200).contains(count)),
            "{even:?}"
        );
        assert!((9..12).contains(&(zipf[0] / zipf[9])), "{zipf:?}");
    }
}
