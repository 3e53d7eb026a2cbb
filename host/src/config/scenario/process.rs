//! How requests arrive, and how long servers take, as words: `poisson:800/s`, `lognormal:10ms,1.2`.

use std::{fmt, str::FromStr, time::Duration};

use crate::config::{units, value::shorten};

/// When requests arrive. Rates are per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrivals {
    /// Each on its own, as those of many clients do.
    Poisson {
        rate: f64,
    },
    Constant {
        rate: f64,
    },
    /// `size` at once, at times like those of [`Poisson`](Self::Poisson).
    Bursty {
        rate: f64,
        size: u32,
    },
}

/// How long a server works at a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Service {
    Fixed {
        time: Duration,
    },
    Exponential {
        mean: Duration,
    },
    /// `sigma` is that of the logarithm: 0.5 is tame, 1.5 has a long tail.
    LogNormal {
        mean: Duration,
        sigma: f64,
    },
    /// `long` for that share of the requests, `short` for the others.
    Bimodal {
        short: Duration,
        long: Duration,
        share: f64,
    },
}

/// A text that is none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadProcess {
    pub found: String,
    pub hint: &'static str,
}

impl fmt::Display for BadProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found, self.hint)
    }
}

impl std::error::Error for BadProcess {}

impl FromStr for Arrivals {
    type Err = BadProcess;

    fn from_str(text: &str) -> Result<Self, BadProcess> {
        let read = || {
            let (kind, rest) = text.split_once(':')?;
            let mut parts = rest.split(',').map(str::trim);
            let rate = rate(parts.next()?)?;
            let arrivals = match kind {
                "poisson" => Self::Poisson { rate },
                "constant" => Self::Constant { rate },
                "bursty" => Self::Bursty {
                    rate,
                    size: parts.next()?.parse().ok().filter(|&size| size > 0)?,
                },
                _ => return None,
            };
            parts.next().is_none().then_some(arrivals)
        };
        read().ok_or_else(|| BadProcess {
            found: format!("cannot be `{}`", shorten(text)),
            hint: "write \"poisson:800/s\", \"constant:800/s\" or \"bursty:800/s,50\"",
        })
    }
}

impl FromStr for Service {
    type Err = BadProcess;

    fn from_str(text: &str) -> Result<Self, BadProcess> {
        let read = || {
            let (kind, rest) = text.split_once(':')?;
            let mut parts = rest.split(',').map(str::trim);
            let time = duration(parts.next()?)?;
            let service = match kind {
                "fixed" => Self::Fixed { time },
                "exponential" => Self::Exponential { mean: time },
                "lognormal" => Self::LogNormal {
                    mean: time,
                    sigma: number(parts.next()?, 5.0)?,
                },
                "bimodal" => Self::Bimodal {
                    short: time,
                    long: duration(parts.next()?)?,
                    share: number(parts.next()?, 1.0)?,
                },
                _ => return None,
            };
            parts.next().is_none().then_some(service)
        };
        read().ok_or_else(|| BadProcess {
            found: format!("cannot be `{}`", shorten(text)),
            hint: "write \"fixed:10ms\", \"exponential:10ms\", \"lognormal:10ms,1.2\" or \
                   \"bimodal:5ms,100ms,0.05\"",
        })
    }
}

pub(super) fn duration(text: &str) -> Option<Duration> {
    units::duration(text.trim()).ok()
}

/// `800/s`
fn rate(text: &str) -> Option<f64> {
    number(text.strip_suffix("/s")?, 1e7).filter(|&rate| rate > 0.0)
}

fn number(text: &str, most: f64) -> Option<f64> {
    text.parse().ok().filter(|n: &f64| (0.0..=most).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_read_as_written() {
        let ms = Duration::from_millis;
        assert_eq!(
            "poisson:800/s".parse(),
            Ok(Arrivals::Poisson { rate: 800.0 })
        );
        assert_eq!(
            "bursty:8.5/s, 50".parse(),
            Ok(Arrivals::Bursty {
                rate: 8.5,
                size: 50
            })
        );
        let (mean, sigma) = (ms(10), 1.2);
        assert_eq!(
            "lognormal:10ms,1.2".parse(),
            Ok(Service::LogNormal { mean, sigma })
        );
        let (short, long, share) = (ms(5), ms(100), 0.05);
        assert_eq!(
            "bimodal:5ms,100ms,0.05".parse(),
            Ok(Service::Bimodal { short, long, share })
        );
    }

    #[test]
    fn what_is_none_says_what_would_do() {
        for text in [
            "",
            "poisson",
            "poisson:800",
            "poisson:0/s",
            "poisson:-1/s",
            "poisson:NaN/s",
            "bursty:1/s",
            "constant:1/s,2",
        ] {
            assert!(text.parse::<Arrivals>().is_err(), "{text}");
        }
        for text in [
            "fixed",
            "fixed:10",
            "bimodal:1ms,2ms,1.5",
            "lognormal:1ms",
            "gauss:1ms",
        ] {
            let error = text.parse::<Service>().unwrap_err().to_string();
            assert!(error.contains("write \"fixed:10ms\""), "{error}");
        }
    }
}
