//! A few people who know each other, and what they wrote.

use super::{Account, Login, NewUser, Operator, OperatorError};
use crate::state::users::{self, User};

impl Operator {
    /// Fills a cluster with a few people who know each other, and what they wrote. Whoever is there already stays as they are,
    /// and then nothing is written. The answer: the people.
    ///
    /// # Errors
    /// [`OperatorError::State`].
    pub fn seed_demo(&self) -> Result<Vec<Account>, OperatorError> {
        let people = [("Ada", "Lovelace", "ada_demo"), ("Bob", "Kahn", "bob_demo"), ("Cleo", "Nile", "cleo_demo")];
        let mut accounts = Vec::with_capacity(people.len());
        let mut is_new = true;
        for (n, (first, last, username)) in (1..).zip(people) {
            let dc = (n - 1) % self.dcs + 1;
            let phone = format!("99966{dc}000{n}");
            let new = NewUser {
                phone: phone.clone(),
                first_name: Some(first.to_owned()),
                last_name: last.to_owned(),
                username: Some(username.to_owned()),
                premium: true,
                login: Login::default(),
            };
            accounts.push(match self.add_user(&new) {
                Err(OperatorError::PhoneTaken(phone) | OperatorError::UsernameTaken(phone)) => {
                    is_new = false;
                    self.state.read(|db| {
                        let found = self.find(db, &phone).or_else(|_| self.find(db, &format!("@{phone}")))?;
                        self.account(db, found.id)
                    })?
                }
                other => other?,
            });
        }
        if is_new {
            self.converse(&accounts)?;
        }
        Ok(accounts)
    }

    /// What the people of the demonstration have to say.
    fn converse(&self, accounts: &[Account]) -> Result<(), OperatorError> {
        const LINES: [(usize, usize, &str); 8] = [
            (0, 1, "Did the engine run last night?"),
            (1, 0, "It did, until the cards were used up."),
            (0, 1, "Then we need more cards."),
            (1, 2, "Ada wants more cards."),
            (2, 1, "She always does."),
            (2, 0, "How many?"),
            (0, 2, "All of them."),
            (0, 0, "To do: buy cards"),
        ];
        self.state.write(|tx| {
            let people = accounts
                .iter()
                .map(|account| users::by_id(tx, account.id)?.ok_or_else(|| OperatorError::NoAccount(account.id.to_string())))
                .collect::<Result<Vec<User>, OperatorError>>()?;
            for owner in &people {
                for user in people.iter().filter(|user| user.id != owner.id) {
                    users::add_contact(tx, owner.id, user.id, &user.first_name, &user.last_name)?;
                }
            }
            for (from, to, text) in LINES {
                if let (Some(from), Some(to)) = (people.get(from), people.get(to)) {
                    self.write(tx, from, to, text)?;
                }
            }
            Ok(())
        })
    }
}
