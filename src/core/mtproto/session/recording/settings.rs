//! Limits and policies by the names of their fields. Times are in nanoseconds.

use std::time::Duration;

use super::player::PlayError;
use crate::{
    mtproto::session::{Limits, PingPolicy},
    trace::call::Settings,
};

/// Values that are written as numbers.
trait Setting: Sized {
    fn to_number(self) -> u64;
    fn from_number(number: u64) -> Self;
}

impl Setting for usize {
    fn to_number(self) -> u64 {
        self.try_into().unwrap_or(u64::MAX)
    }

    fn from_number(number: u64) -> Self {
        number.try_into().unwrap_or(Self::MAX)
    }
}

impl Setting for u32 {
    fn to_number(self) -> u64 {
        self.into()
    }

    fn from_number(number: u64) -> Self {
        number.try_into().unwrap_or(Self::MAX)
    }
}

impl Setting for Duration {
    fn to_number(self) -> u64 {
        self.as_nanos().try_into().unwrap_or(u64::MAX)
    }

    fn from_number(number: u64) -> Self {
        Self::from_nanos(number)
    }
}

macro_rules! settings {
    ($write:ident, $read:ident, $type:ident { $($field:ident),* $(,)? }) => {
        pub(super) fn $write(values: &$type) -> Settings {
            // All of them: a field that is added and not written would make every recording wrong.
            let $type { $($field),* } = *values;
            vec![$((stringify!($field).into(), Setting::to_number($field))),*]
        }

        /// What is not named has its default.
        pub(super) fn $read(settings: &Settings) -> Result<$type, PlayError> {
            let mut values = $type::default();
            for (name, number) in settings {
                match &**name {
                    $(stringify!($field) => values.$field = Setting::from_number(*number),)*
                    _ => return Err(PlayError::UnknownSetting { name: name.to_string() }),
                }
            }
            Ok(values)
        }
    };
}

settings!(of_ping, ping, PingPolicy { interval, disconnect_delay, patience });
settings!(
    of_limits,
    limits,
    Limits {
        requests,
        request_bytes,
        events,
        event_bytes,
        body,
        unpacked,
        seen,
        remembered,
        kept,
        kept_bytes,
        service_queue,
        resends,
        ack_delay,
        ack_batch,
        state_check,
        coalesce,
    }
);

/// The most that packed objects of one frame may unpack to when a recording is played, in bytes.
const MOST_UNPACKED: usize = 64 << 20;

/// [`limits`], but none that would let a recording fill the memory.
pub(super) fn bearable_limits(settings: &Settings) -> Result<Limits, PlayError> {
    let limits = limits(settings)?;
    if limits.unpacked > MOST_UNPACKED {
        return Err(PlayError::SettingTooLarge { name: "unpacked", most: MOST_UNPACKED });
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for values in [Limits::default(), Limits::server()] {
            assert_eq!(limits(&of_limits(&values)), Ok(values));
        }
        let policy = PingPolicy { interval: Duration::from_millis(1500), ..PingPolicy::default() };
        assert_eq!(ping(&of_ping(&policy)), Ok(policy));
        assert_eq!(limits(&Vec::new()), Ok(Limits::default()));
        let unknown = vec![("appetite".into(), 7)];
        assert_eq!(limits(&unknown), Err(PlayError::UnknownSetting { name: "appetite".to_owned() }));
        let vast = of_limits(&Limits { unpacked: MOST_UNPACKED + 1, ..Limits::default() });
        assert_eq!(bearable_limits(&vast), Err(PlayError::SettingTooLarge { name: "unpacked", most: MOST_UNPACKED }));
        assert!(bearable_limits(&of_limits(&Limits::default())).is_ok());
    }
}
