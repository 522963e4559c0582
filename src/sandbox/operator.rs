//! The operator's side of a cluster: making accounts and bots, saying how login codes travel, writing messages in somebody's name.
//!
//! An operator works on the cluster's database, beside whoever runs the cluster or when nobody does: SQLite lets several processes write,
//! one after another, and nothing of this is kept in memory by a cluster that runs. What its sessions have to be told is left in the
//! database as well; a running cluster looks for it twenty times a second.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rand::Rng;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tdl_core::crypto::dh::Group;
use tdl_core::crypto::srp::Kdf;
use tdl_core::tl::Serialize as _;
use zeroize::Zeroizing;

use super::cluster::{CLUSTER_FILE, Cluster, Dc, MAX_DCS};
use super::delivery::{Deliveries, Delivery, is_email};
use super::fault::Fault;
use super::services::view::View;
use super::state::codes::{self, Wanted};
use super::state::messages::{self, Draft};
use super::state::passwords::{self, Password, Secret};
use super::state::users::{self, Phone, User};
use super::state::{self, State, bots, keys, outbox};

mod demo;
mod media;
mod seed;

pub use media::{FileItem, Form, Item, Post};
pub use seed::{Seed, Seeded, SeededFile};

/// Characters that the real servers allow in a name.
const MAX_NAME: usize = 64;
/// Characters behind the colon of a bot's token.
const SECRET_LEN: usize = 35;
/// What these are.
const SECRET_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Why an operator could not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The directory has no cluster's state in it, or it cannot be used.
    #[error(transparent)]
    State(#[from] state::Error),
    /// Not a phone number of the cluster.
    #[error("{0:?} is no phone number of this cluster: they are 99966XYYYY, and X is one of its data centres")]
    Phone(String),
    /// The number has an account.
    #[error("{0} has an account already")]
    PhoneTaken(String),
    /// No such data centre.
    #[error("the cluster has no DC {0}")]
    Dc(i32),
    /// A name that is empty or too long.
    #[error("a name has 1 to {MAX_NAME} characters")]
    Name,
    /// A username that breaks the rules.
    #[error("{0:?} is no username: 5 to 32 letters, digits and underscores, beginning with a letter")]
    Username(String),
    /// Somebody else has it.
    #[error("the username {0} is taken")]
    UsernameTaken(String),
    /// Not an email address.
    #[error("{0:?} is no email address")]
    Email(String),
    /// An empty password.
    #[error("a password is not empty")]
    EmptyPassword,
    /// Nobody of that name.
    #[error("nobody here is {0:?}: say a phone number, @username or id")]
    NoAccount(String),
    /// The account is no bot, so it has no token.
    #[error("{0} is no bot")]
    NoBot(i64),
    /// A message without text, or with too much of it.
    #[error("a message has 1 to 4096 characters")]
    Text,
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is to be a picture, and is none.
    #[error("{} is no JPEG, PNG, GIF or WebP", .0.display())]
    Image(PathBuf),
    /// Something that cannot be posted so.
    #[error("{0}")]
    Form(&'static str),
    /// The message could not be made.
    #[error("the message could not be made: {0}")]
    Message(Fault),
}

impl From<rusqlite::Error> for OperatorError {
    fn from(error: rusqlite::Error) -> Self {
        Self::State(error.into())
    }
}

/// An account that is to be made.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    /// `99966XYYYY`: it will live on DC X.
    pub phone: String,
    /// The first name; without one, `User YYYY`.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: String,
    /// The username.
    pub username: Option<String>,
    /// Without Premium, if false.
    pub premium: bool,
    /// What holds for its logins.
    pub login: Login,
}

/// What holds for the logins of a number.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// The password that a login needs.
    pub password: Option<String>,
    /// What is shown to somebody who is asked for it.
    pub hint: String,
    /// The address by which it can be recovered.
    pub recovery_email: Option<String>,
    /// How login codes travel; the cluster's own way if nothing is said.
    pub deliveries: Option<Deliveries>,
    /// The address for login codes; without one, the number at `example.org`.
    pub login_email: Option<String>,
}

/// A bot that is to be made.
#[derive(Clone, Debug, Default)]
pub struct NewBot {
    /// Its name.
    pub name: String,
    /// Its username.
    pub username: Option<String>,
    /// The DC that it lives on; 1 if nothing is said.
    pub dc: Option<i32>,
}

/// An account of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Account {
    /// Its id.
    pub id: i64,
    /// Its phone number; bots have none.
    pub phone: Option<String>,
    /// Where it lives.
    pub dc: i32,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
    /// The username.
    pub username: Option<String>,
    /// A program, not a person.
    pub bot: bool,
    /// It has Premium.
    pub premium: bool,
    /// A login needs a password.
    pub has_password: bool,
    /// How login codes travel, if somebody has said so.
    pub delivery: Option<String>,
    /// Where it is logged in.
    pub authorizations: usize,
    /// The login code that it would be sent now.
    pub code: Option<String>,
}

/// Whoever works on a cluster's state. It waits for the database: not for asynchronous code that has other things to do.
#[derive(Debug)]
pub struct Operator {
    state: State,
    dcs: i32,
}

impl Cluster {
    /// An operator of this cluster.
    ///
    /// # Errors
    /// [`OperatorError::State`].
    pub fn operator(&self) -> Result<Operator, OperatorError> {
        Operator::open(self.dir())
    }
}

/// The part of `cluster.json` that says how many DCs there are.
#[derive(Deserialize)]
struct DcList {
    dcs: Vec<Dc>,
}

impl Operator {
    /// Opens the state of the cluster in a directory, whether it runs or not.
    ///
    /// # Errors
    /// [`OperatorError::State`]: no cluster has ever run there.
    pub fn open(dir: &Path) -> Result<Self, OperatorError> {
        let state = State::beside(dir)?;
        let path = dir.join(CLUSTER_FILE);
        let text = std::fs::read(&path).map_err(state::Error::io("reading", &path))?;
        let file: DcList = serde_json::from_slice(&text).map_err(|_| state::Error::Damaged(CLUSTER_FILE))?;
        let dcs = file.dcs.iter().filter(|dc| !dc.cdn && !dc.media_only).count();
        let dcs = i32::try_from(dcs).unwrap_or(i32::MAX).min(MAX_DCS.into());
        Ok(Self { state, dcs })
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`OperatorError::Phone`], [`OperatorError::PhoneTaken`], and what is wrong with the rest of it.
    pub fn add_user(&self, new: &NewUser) -> Result<Account, OperatorError> {
        let phone = self.phone(&new.phone)?;
        let short = phone.digits.get(6..).unwrap_or_default();
        let first_name = new.first_name.clone().unwrap_or_else(|| format!("User {short}"));
        check_name(&first_name)?;
        let secret = secret_of(&new.login)?;
        self.state.write(|tx| {
            if users::by_phone(tx, &phone.digits)?.is_some() {
                return Err(OperatorError::PhoneTaken(phone.digits.clone()));
            }
            check_username(tx, new.username.as_deref())?;
            let id = users::add(tx, &phone, &first_name, &new.last_name, new.premium, now())?;
            users::set_username(tx, id, new.username.as_deref())?;
            apply(tx, &phone, Some(id), &new.login, secret.as_ref())?;
            self.account(tx, id)
        })
    }

    /// Sets what holds for the logins of a number, with an account or without; what is `None` stays. The answer: its account.
    ///
    /// # Errors
    /// [`OperatorError::Phone`]; [`OperatorError::NoAccount`] for a password without an account.
    pub fn set_login(&self, phone: &str, login: &Login) -> Result<Option<Account>, OperatorError> {
        let phone = self.phone(phone)?;
        let secret = secret_of(login)?;
        self.state.write(|tx| {
            let user = users::by_phone(tx, &phone.digits)?.map(|user| user.id);
            apply(tx, &phone, user, login, secret.as_ref())?;
            user.map(|id| self.account(tx, id)).transpose()
        })
    }

    /// Has login codes travel to a number as if nobody had said how.
    ///
    /// # Errors
    /// [`OperatorError::Phone`].
    pub fn forget_delivery(&self, phone: &str) -> Result<(), OperatorError> {
        let phone = self.phone(phone)?;
        Ok(self.state.write(|tx| codes::want_default(tx, &phone.digits))?)
    }

    /// Takes the password of a number's account away.
    ///
    /// # Errors
    /// [`OperatorError::NoAccount`].
    pub fn remove_password(&self, phone: &str) -> Result<Account, OperatorError> {
        self.state.write(|tx| {
            let user = self.find(tx, phone)?;
            passwords::remove(tx, user.id)?;
            self.account(tx, user.id)
        })
    }

    /// Makes a bot, and its token.
    ///
    /// # Errors
    /// [`OperatorError::Dc`], [`OperatorError::Name`], [`OperatorError::Username`], [`OperatorError::UsernameTaken`].
    pub fn add_bot(&self, new: &NewBot) -> Result<(Account, String), OperatorError> {
        let dc = new.dc.unwrap_or(1);
        if !(1..=self.dcs).contains(&dc) {
            return Err(OperatorError::Dc(dc));
        }
        check_name(&new.name)?;
        let secret = bot_secret(&mut rand::rng());
        self.state.write(|tx| {
            check_username(tx, new.username.as_deref())?;
            let id = bots::add(tx, dc, &new.name, new.username.as_deref(), now())?;
            bots::give_token(tx, id, &secret)?;
            Ok((self.account(tx, id)?, format!("{id}:{secret}")))
        })
    }

    /// Gives a bot another token; the one before is expired from now on. `who`: its id or @username.
    ///
    /// # Errors
    /// [`OperatorError::NoAccount`], [`OperatorError::NoBot`].
    pub fn renew_token(&self, who: &str) -> Result<String, OperatorError> {
        let secret = bot_secret(&mut rand::rng());
        self.state.write(|tx| {
            let bot = self.find(tx, who)?;
            if !bot.bot {
                return Err(OperatorError::NoBot(bot.id));
            }
            bots::give_token(tx, bot.id, &secret)?;
            Ok(format!("{}:{secret}", bot.id))
        })
    }

    /// All accounts, by id.
    ///
    /// # Errors
    /// [`OperatorError::State`].
    pub fn accounts(&self) -> Result<Vec<Account>, OperatorError> {
        self.state.read(|db| {
            let ids: Vec<i64> =
                db.prepare("SELECT id FROM users ORDER BY id")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            ids.into_iter().map(|id| self.account(db, id)).collect()
        })
    }

    /// Writes a message in somebody's name; both sides are told, if the cluster runs. `from` and `to`: a phone number, @username or id.
    /// The answer: the message's id in the box of whoever wrote it.
    ///
    /// # Errors
    /// [`OperatorError::NoAccount`], [`OperatorError::Text`].
    pub fn send_message(&self, from: &str, to: &str, text: &str) -> Result<i32, OperatorError> {
        if text.trim().is_empty() || text.encode_utf16().count() > 4096 {
            return Err(OperatorError::Text);
        }
        self.state.write(|tx| {
            let (from, to) = (self.find(tx, from)?, self.find(tx, to)?);
            self.write(tx, &from, &to, text)
        })
    }

    fn write(&self, tx: &Connection, from: &User, to: &User, text: &str) -> Result<i32, OperatorError> {
        let random_id = i64::try_from(rand::rng().next_u64() >> 1).unwrap_or(i64::MAX);
        let draft = Draft {
            from: from.id,
            to: to.id,
            text: text.to_owned(),
            entities: None,
            media: None,
            reply_to: None,
            forward: None,
            grouped_id: None,
            silent: false,
            random_id,
        };
        self.announce(tx, &draft)
    }

    /// Sends a message, and leaves word of it for the sessions of a running cluster.
    fn announce(&self, tx: &Connection, draft: &Draft) -> Result<i32, OperatorError> {
        let now = now();
        let sent = messages::send(tx, draft, now)?;
        for (message, event) in [Some(&sent.own), sent.other.as_ref()].into_iter().flatten() {
            let view = View { state: &self.state, db: tx, viewer: message.owner, now };
            let updates = view.announce(message, event).map_err(OperatorError::Message)?;
            outbox::put(tx, message.owner, &updates.to_bytes())?;
        }
        Ok(sent.own.0.id)
    }

    fn phone(&self, text: &str) -> Result<Phone, OperatorError> {
        Phone::parse(text, self.dcs).ok_or_else(|| OperatorError::Phone(text.to_owned()))
    }

    /// The account that somebody means.
    fn find(&self, db: &Connection, who: &str) -> Result<User, OperatorError> {
        let found = if let Some(phone) = Phone::parse(who, self.dcs) {
            users::by_phone(db, &phone.digits)?
        } else if let Some(username) = who.strip_prefix('@') {
            users::by_username(db, username)?
        } else if let Ok(id) = who.parse() {
            users::by_id(db, id)?
        } else {
            None
        };
        found.ok_or_else(|| OperatorError::NoAccount(who.to_owned()))
    }

    fn account(&self, db: &Connection, id: i64) -> Result<Account, OperatorError> {
        let user = users::by_id(db, id)?.ok_or_else(|| OperatorError::NoAccount(id.to_string()))?;
        let wanted = codes::wanted(db, &user.phone)?;
        let first = wanted.as_ref().map_or(Delivery::Sms, |wanted| wanted.kinds.first());
        Ok(Account {
            id,
            dc: user.dc,
            has_password: passwords::find(db, id)?.is_some(),
            delivery: wanted.map(|wanted| wanted.kinds.to_string()),
            authorizations: keys::authorizations(db, id)?.len(),
            code: first.code(user.dc).filter(|_| !user.bot),
            phone: (!user.bot).then_some(user.phone),
            first_name: user.first_name,
            last_name: user.last_name,
            username: user.username,
            bot: user.bot,
            premium: user.premium,
        })
    }
}

/// Puts into effect what is said about logins.
fn apply(
    tx: &Connection,
    phone: &Phone,
    user: Option<i64>,
    login: &Login,
    secret: Option<&Secret>,
) -> Result<(), OperatorError> {
    if let Some(kinds) = &login.deliveries {
        let needs_email = kinds.first() == Delivery::Email;
        let email = login.login_email.clone().or_else(|| needs_email.then(|| format!("{}@example.org", phone.digits)));
        codes::want(tx, &phone.digits, &Wanted { kinds: kinds.clone(), email, new_email: None })?;
    }
    if let Some(secret) = secret {
        let user = user.ok_or_else(|| OperatorError::NoAccount(phone.digits.clone()))?;
        let password = Password {
            secret: secret.clone(),
            hint: login.hint.clone(),
            email: login.recovery_email.clone(),
            recovery_until: 0,
        };
        passwords::set(tx, user, &password)?;
    }
    Ok(())
}

/// What a password is checked from. Takes about a tenth of a second, so outside of any transaction.
fn secret_of(login: &Login) -> Result<Option<Secret>, OperatorError> {
    for email in [&login.recovery_email, &login.login_email].into_iter().flatten() {
        if !is_email(email) {
            return Err(OperatorError::Email(email.clone()));
        }
    }
    let Some(password) = &login.password else { return Ok(None) };
    if password.is_empty() {
        return Err(OperatorError::EmptyPassword);
    }
    let (mut salt1, mut salt2) = ([0; 8], [0; 16]);
    let mut rng = rand::rng();
    rng.fill_bytes(&mut salt1);
    rng.fill_bytes(&mut salt2);
    let kdf = Kdf::new(&salt1, &salt2, Group::known()).for_new_password(&mut rng);
    let verifier = Zeroizing::new(kdf.verifier(password.as_bytes()).as_bytes().to_vec());
    Ok(Some(Secret { salt1: kdf.salt1().to_vec(), salt2: kdf.salt2().to_vec(), verifier }))
}

fn check_name(name: &str) -> Result<(), OperatorError> {
    if name.trim().is_empty() || name.chars().count() > MAX_NAME { Err(OperatorError::Name) } else { Ok(()) }
}

fn check_username(db: &Connection, username: Option<&str>) -> Result<(), OperatorError> {
    let Some(username) = username else { return Ok(()) };
    if !users::is_username(username) {
        return Err(OperatorError::Username(username.to_owned()));
    }
    match users::by_username(db, username)? {
        Some(_) => Err(OperatorError::UsernameTaken(username.to_owned())),
        None => Ok(()),
    }
}

fn bot_secret(rng: &mut dyn Rng) -> String {
    let mut bytes = [0; SECRET_LEN];
    rng.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(SECRET_ALPHABET[usize::from(byte % 64)])).collect()
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
