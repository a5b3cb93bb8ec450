//! Time as the model keeps it: UTC milliseconds since 1970. An adapter is told the time, it never asks.

pub use std::time::Duration;

/// UTC milliseconds since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub fn plus(self, wait: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }

    pub fn minus(self, wait: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `self` until `later`; zero if that has passed.
    pub fn until(self, later: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

/// A calendar time in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

impl Timestamp {
    /// Reads ISO 8601 as PSPs write it: `2022-02-02T21:34:07+0000`, `…T18:00:42.000000Z`, `2022-02-12 18:00:35`. A time
    /// without a zone is UTC. Digits below a millisecond are cut off.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let (date, rest) = text.split_once(['T', 't', ' '])?;
        let (clock, offset_minutes) = zone(rest)?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        let small = |n: i64| u8::try_from(n).ok();
        let civil = Civil {
            year,
            month: small(month)?,
            day: small(day)?,
            hour: small(hour)?,
            minute: small(minute)?,
            second: small(second)?,
        };
        if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let millis = format!("{fraction:0<3}")[..3].parse::<i64>().ok()?;
        Some(Timestamp(civil.timestamp()?.0 + millis - offset_minutes * 60_000))
    }

    /// The calendar time, to the second.
    pub fn civil(self) -> Civil {
        let seconds = self.0.div_euclid(1000);
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Days since 1970 as a date, by eras of 400 years that begin in March, so that the leap day comes last.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        // Every part is within its calendar range.
        let small = |n: i64| u8::try_from(n).unwrap_or_default();
        Civil {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: small(month),
            day: small(of_year - (153 * shifted_month + 2) / 5 + 1),
            hour: small(of_day / 3600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
        }
    }
}

impl Civil {
    /// `None` for a time that no calendar has.
    pub fn timestamp(self) -> Option<Timestamp> {
        let Civil { year, month, day, hour, minute, second } = self;
        if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let shifted_year = if month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (shifted_year.div_euclid(400), shifted_year.rem_euclid(400));
        let of_year = (153 * ((i64::from(month) + 9) % 12) + 2) / 5 + i64::from(day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        let days = era * 146_097 + of_era - 719_468;
        let seconds = ((days * 24 + i64::from(hour)) * 60 + i64::from(minute)) * 60 + i64::from(second);
        let at = Timestamp(seconds * 1000);
        // 31 September comes back as 1 October.
        (at.civil() == self).then_some(at)
    }
}

/// Time of day and offset from UTC in minutes: `Z`, `+0000`, `-03:00`, `+01`, or nothing.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, 0)) };
    let (clock, offset) = text.split_at(at);
    let digits: String = offset[1..].chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at(2);
    let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().unwrap_or(0);
    Some((clock, if offset.starts_with('-') { -minutes } else { minutes }))
}

fn numbers(text: &str, between: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split(between);
    for (number, width) in found.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_as_psps_write_them() {
        let rows = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2022-02-02T21:34:07+0000", Some(1_643_837_647_000)),
            ("2022-02-02T18:34:07-03:00", Some(1_643_837_647_000)),
            ("2022-02-12T18:00:42.000000Z", Some(1_644_688_842_000)),
            ("2022-02-12 18:00:35", Some(1_644_688_835_000)),
            ("2022-02-12 18:00:35.1", Some(1_644_688_835_100)),
            ("2022-02-12T18:00:35.1239Z", Some(1_644_688_835_123)),
            ("2024-02-29T23:59:59+01", Some(1_709_247_599_000)),
            ("2023-02-29T00:00:00Z", None),
            ("2022-09-31T00:00:00Z", None),
            ("2022-13-01T00:00:00Z", None),
            ("2022-01-01T24:00:00Z", None),
            ("2022-01-01T00:60:00Z", None),
            ("2022-01-01", None),
            ("2022-01-01T00:00", None),
            ("2022-1-1T00:00:00Z", None),
            ("2022-01-01T00:00:00.Z", None),
            ("2022-01-01T00:00:00+1", None),
            ("٢٠٢٢-01-01T00:00:00Z", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Timestamp::parse(text).map(|at| at.0), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_calendar_time_and_its_timestamp_are_one(seconds in -62_167_219_200i64..253_402_300_800) {
            let at = Timestamp(seconds * 1000);
            prop_assert_eq!(at.civil().timestamp(), Some(at));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            let _ = Timestamp::parse(&text);
        }
    }
}
