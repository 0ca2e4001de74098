//! Whether it is a certificate's time, and for how much longer.

use std::time::{Duration, SystemTime};

use crate::plural::many;

/// How long before its end a certificate is told of.
const NOTICE: Duration = Duration::from_hours(14 * 24);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How a certificate stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// There is time left, and nothing to do.
    Fine {
        left: Duration,
    },
    /// It ends soon: in 14 days or less, or in a third of its whole time if that is shorter, as of certificates for six
    /// days. Whoever renews them in time has done so by then.
    Ending {
        left: Duration,
    },
    Expired {
        ago: Duration,
    },
    NotYet {
        wait: Duration,
    },
}

impl Validity {
    pub(super) fn of(not_before: SystemTime, not_after: SystemTime, now: SystemTime) -> Self {
        if let Ok(wait) = not_before.duration_since(now)
            && !wait.is_zero()
        {
            return Self::NotYet { wait };
        }
        match not_after.duration_since(now) {
            Err(past) => Self::Expired { ago: past.duration() },
            Ok(left) => {
                let whole = not_after.duration_since(not_before).unwrap_or_default();
                match left <= NOTICE.min(whole / 3) {
                    true => Self::Ending { left },
                    false => Self::Fine { left },
                }
            }
        }
    }

    /// Whether clients take it now.
    pub fn is_valid(self) -> bool {
        matches!(self, Self::Fine { .. } | Self::Ending { .. })
    }

    /// Whole days until its end; negative after it.
    pub fn days_left(not_after: SystemTime, now: SystemTime) -> i64 {
        let days = |time: Duration| i64::try_from(time.as_secs() / DAY).unwrap_or(i64::MAX);
        match not_after.duration_since(now) {
            Ok(left) => days(left),
            Err(past) => -1 - days(past.duration()),
        }
    }

    /// What people should know of a certificate, as what follows its name; `None` if nothing is to be done.
    pub fn state(self) -> Option<String> {
        match self {
            Self::Fine { .. } => None,
            Self::Ending { left } => Some(format!("expires in {}", about(left))),
            Self::Expired { ago } => Some(format!("expired {} ago", about(ago))),
            Self::NotYet { wait } => Some(format!("is valid only in {}", about(wait))),
        }
    }

    /// The same of a certificate that clients get.
    pub fn warning(self) -> Option<String> {
        let state = self.state()?;
        Some(match self {
            Self::Fine { .. } | Self::Ending { .. } => state,
            Self::Expired { .. } => format!("{state}, and clients refuse it"),
            Self::NotYet { .. } => format!("{state}, and clients refuse it until then"),
        })
    }

    /// What to do about it.
    pub fn help(self) -> &'static str {
        match self {
            Self::Fine { .. } => "",
            Self::Ending { .. } | Self::Expired { .. } => {
                "renew it, or see why what renews it does not (`certbot renew --dry-run`); a new file \
                 is served at once"
            }
            Self::NotYet { .. } => "see whether the clock of this machine is right",
        }
    }
}

/// A time in the unit that says most.
fn about(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..MINUTE => many(seconds, "second"),
        MINUTE..HOUR => many(seconds / MINUTE, "minute"),
        HOUR..DAY => many(seconds / HOUR, "hour"),
        _ => many(seconds / DAY, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(20_000 * DAY + number * DAY)
    }

    #[test]
    fn it_is_told_of_from_14_days_on_and_a_short_one_in_its_last_third() {
        for (whole, at, warned) in [
            (90, 75, None),
            (90, 76, Some("expires in 14 days")),
            (90, 89, Some("expires in 1 day")),
            (90, 91, Some("expired 1 day ago, and clients refuse it")),
            (6, 3, None),
            (6, 4, Some("expires in 2 days")),
        ] {
            let told = Validity::of(day(0), day(whole), day(at)).warning();
            assert_eq!(told.as_deref(), warned, "day {at} of {whole}");
        }
    }

    #[test]
    fn days_are_counted_down_to_the_end_and_on() {
        for (now, left) in [(0, 90), (89, 1), (90, 0), (92, -3)] {
            assert_eq!(Validity::days_left(day(90), day(now)), left, "day {now}");
        }
        assert_eq!(Validity::days_left(day(90), day(90) + Duration::from_secs(1)), -1);
    }

    #[test]
    fn one_that_is_early_is_not_valid_and_says_so() {
        let early = Validity::of(day(2), day(92), day(0));
        assert_eq!(early, Validity::NotYet { wait: Duration::from_secs(2 * DAY) });
        assert!(!early.is_valid() && early.warning().is_some_and(|it| it.contains("2 days")));
        assert!(Validity::of(day(2), day(92), day(2)).is_valid());
        assert!(!Validity::of(day(2), day(92), day(93)).is_valid());
    }
}
