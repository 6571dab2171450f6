//! RFC 3339 times with exactly three fractional digits and `Z`.

use connexus_domain::Timestamp;
use serde::{Serialize, Serializer};

/// A time as it stands in JSON: `2026-01-31T12:00:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

/// The civil date of a number of days since 1970-01-01 (proleptic Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    // eras of 400 years, counted from 0000-03-01
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn digits(into: &mut [u8], mut number: i64) {
    for place in into.iter_mut().rev() {
        *place = b'0' + u8::try_from(number.rem_euclid(10)).unwrap_or(0);
        number /= 10;
    }
}

impl Time {
    /// The text. Years outside of 0 to 9999, which no clock of ours shows, are cut to four digits.
    pub fn to_text(self) -> [u8; 24] {
        let millis = self.0.as_millis();
        let (days, of_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
        let (year, month, day) = civil(days);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        digits(&mut text[0..4], year);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], of_day / 3_600_000);
        digits(&mut text[14..16], of_day / 60_000 % 60);
        digits(&mut text[17..19], of_day / 1_000 % 60);
        digits(&mut text[20..23], of_day % 1_000);
        text
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_text();
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }
}

/// A time that a client gives: any RFC 3339 text.
pub fn parse(field: &str, text: &str) -> connexus_domain::Result<Timestamp> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(Timestamp::from_millis(time.as_millisecond())),
        Err(_) => Err(connexus_domain::Error::invalid(
            field,
            "must be a time such as 2026-01-31T12:00:00Z",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_jiff_writes_it() {
        let step = 86_399_123_i64 * 97;
        for n in 0..9_000_i64 {
            let millis = n * step - 1_000_000_000_000;
            let ours = Time(Timestamp::from_millis(millis)).to_text();
            let theirs = jiff::Timestamp::from_millisecond(millis).unwrap();
            assert_eq!(std::str::from_utf8(&ours).unwrap(), format!("{theirs:.3}"));
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let time = Timestamp::from_millis(1_795_000_000_123);
        let text = Time(time).to_text();
        assert_eq!(
            parse("x", std::str::from_utf8(&text).unwrap()).unwrap(),
            time
        );
        assert!(parse("muted_until", "tomorrow").is_err());
    }
}
