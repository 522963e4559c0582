//! The password of two-step verification ("Two-factor authentication").
//!
//! ```text
//! account.getPassword ─▶ the person ─▶ auth.checkPassword ─▶ auth.authorization
//!          ▲                                   ├─▶ PASSWORD_HASH_INVALID ─▶ the person is asked again, a few times
//!          └── SRP_ID_INVALID: too old ◀───────┘    with fresh parameters
//! ```

use rand::{SeedableRng, rngs::StdRng};
use zeroize::Zeroizing;

use crate::{
    crypto::srp::Kdf,
    tl::api::{
        enums::{self, PasswordKdfAlgo},
        functions, types,
    },
};

use super::{Api, Error, LoginPrompts, PasswordAsked, error::is};

/// How many passwords may be typed before the login fails.
pub const MAX_PASSWORD_ATTEMPTS: u32 = 3;

/// How often a proof may be too old before the login fails.
const MAX_STALE: u32 = 3;

/// Proves the password of the account that is half logged in, and is let in.
pub(super) async fn check_password(
    api: &impl Api,
    prompts: &mut impl LoginPrompts,
) -> Result<enums::auth::Authorization, Error> {
    let mut rng = StdRng::from_seed(api.random_seed());
    let (mut wrong, mut stale) = (0, 0);
    // What was typed, as long as the server has not said that it is wrong.
    let mut typed: Option<Zeroizing<String>> = None;
    loop {
        let enums::account::Password::Password(state) = api.invoke(&functions::account::GetPassword {}).await?;
        let password = match typed.take() {
            Some(password) => password,
            None => prompts.password(&asked(&state, wrong)).await.map_err(Error::Prompt)?,
        };
        let proof = prove(&state, &password, &mut rng)?;
        let error = match api.invoke(&functions::auth::CheckPassword { password: proof }).await {
            Ok(authorization) => return Ok(authorization),
            Err(error) => error,
        };
        if is(&error, &["PASSWORD_HASH_INVALID"]) {
            wrong += 1;
            if wrong == MAX_PASSWORD_ATTEMPTS {
                return Err(Error::PasswordWrong { attempts: wrong, recovery: state.has_recovery });
            }
        } else if is(&error, &["SRP_ID_INVALID", "SRP_PASSWORD_CHANGED"]) {
            stale += 1;
            if stale == MAX_STALE {
                return Err(Error::PasswordStale);
            }
            typed = Some(password);
        } else {
            return Err(Error::of_login(error, ""));
        }
    }
}

fn asked(state: &types::account::Password, wrong: u32) -> PasswordAsked {
    PasswordAsked {
        hint: state.hint.as_ref().map(ToString::to_string).filter(|hint| !hint.is_empty()),
        wrong,
        recovery: state.has_recovery,
        reset_at: state.pending_reset_date.map(i64::from),
    }
}

fn prove(state: &types::account::Password, password: &str, rng: &mut StdRng) -> Result<enums::InputCheckPasswordSrp, Error> {
    let missing = Error::Nonsense { method: "account.getPassword", what: "the account has no password at this point" };
    let (Some(algorithm), Some(server_public), Some(srp_id)) = (&state.current_algo, &state.srp_b, state.srp_id) else {
        return Err(missing);
    };
    let kdf = match algorithm {
        PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(algorithm) => {
            Kdf::check(&algorithm.salt1, &algorithm.salt2, algorithm.g, &algorithm.p).map_err(Error::PasswordUntrusted)?
        }
        PasswordKdfAlgo::Unknown => return Err(Error::PasswordFormUnknown),
    };
    let proof = kdf.prove(password.as_bytes(), server_public, rng).map_err(Error::PasswordUntrusted)?;
    Ok(types::InputCheckPasswordSrp { srp_id, a: proof.a.to_vec().into(), m1: proof.m1.to_vec().into() }.into())
}
