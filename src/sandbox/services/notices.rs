//! Messages from the service itself: account 777000, as on the real servers.

use super::Call;
use super::view::View;
use crate::fault::Fault;
use crate::state::messages::{self, Draft};
use tdl_core::tl::Serialize as _;
use tdl_core::tl::api::{enums, types};

/// The account that writes them.
pub(crate) const SERVICE_USER: i64 = 777_000;
/// Its phone number, which is none of a cluster's.
const SERVICE_PHONE: &str = "42777";

/// Makes sure that the account is there. It is not made before it has something to say.
pub(crate) fn ensure_service_user(db: &rusqlite::Connection) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR IGNORE INTO users (id, phone, dc, first_name, last_name, premium, created) VALUES (?1, ?2, 1, 'Telegram', '', 0, 0)",
        rusqlite::params![SERVICE_USER, SERVICE_PHONE],
    )?;
    Ok(())
}

/// Sends an account a message from the service, and tells its sessions. What stands before the first full stop is bold.
pub(crate) fn send(call: &mut Call<'_>, to: i64, text: &str) -> Result<(), Fault> {
    let title = text.split('.').next().unwrap_or(text).encode_utf16().count();
    let length = i32::try_from(title).unwrap_or(i32::MAX).saturating_add(1);
    let entities: Vec<enums::MessageEntity> = vec![types::MessageEntityBold { offset: 0, length }.into()];
    let random_id = call.random_id();
    let (state, now) = (call.state, call.now);
    let updates = state.write(|tx| {
        ensure_service_user(tx)?;
        let draft = Draft {
            from: SERVICE_USER,
            to,
            text: text.to_owned(),
            entities: Some(entities.to_bytes().to_vec()),
            media: None,
            reply_to: None,
            forward: None,
            grouped_id: None,
            silent: false,
            random_id,
        };
        let sent = messages::send(tx, &draft, now)?;
        let Some((message, event)) = &sent.other else { return Ok(None) };
        let view = View { state, db: tx, viewer: to, now };
        // In full: those who have never seen the service's account could not read the short form.
        let update = types::UpdateNewMessage { message: view.message(message)?, pts: event.pts, pts_count: event.count };
        Ok::<_, Fault>(Some(view.updates(vec![update.into()], view.users([SERVICE_USER])?)))
    })?;
    if let Some(updates) = updates {
        call.push(to, &updates);
    }
    Ok(())
}

/// Tells an account's sessions its login code.
pub(crate) fn login_code(call: &mut Call<'_>, to: i64, code: &str) -> Result<(), Fault> {
    if !call.settings.rules.notices {
        return Ok(());
    }
    let text = format!(
        "Login code: {code}. Give it to nobody, whoever asks.\n\nIt was asked for to log in to your account. Did you not do that? Then this message can be ignored."
    );
    send(call, to, &text)
}

/// A Unix time as `2026-11-30 04:05:06`.
pub(crate) fn utc(time: i64) -> String {
    let (days, seconds) = (time.div_euclid(86_400), time.rem_euclid(86_400));
    // Days since 0000-03-01, in eras of 400 years, so that a leap day is the last of its year.
    let days = days.saturating_add(719_468);
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (year.saturating_add(era.saturating_mul(400)), if month < 10 { month + 3 } else { month - 9 });
    let year = if month <= 2 { year.saturating_add(1) } else { year };
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        for (time, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_790_000_000, "2026-09-21 14:13:20"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
        ] {
            assert_eq!(utc(time), text);
        }
    }
}
