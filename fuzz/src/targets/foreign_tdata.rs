//! Telegram Desktop's `tdata`. Input: a byte that says what follows. 0: files, each a name and a content, both after their length in four
//! bytes (little-endian); they are read as they are, and again with the checksums that they need. 1: an account's file. 2: a config. Both of
//! these are encrypted in files, where no fuzzer gets at them.

use tdl::store::foreign::tdata::{self, Files, parse_account, parse_config, read_from};
use tdl::store::foreign::{Error, ForeignSession};

use super::Seed;
use super::foreign::session;

pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, files)) => run_files(unpack(files)),
        Some((1, content)) => check(&parse_account(content)),
        Some((2, content)) => {
            if let Ok(config) = parse_config(content) {
                assert!(config.addresses.len() <= content.len() / 17, "each address takes some bytes");
            }
        }
        _ => {}
    }
}

fn check(read: &Result<ForeignSession, Error>) {
    if let Ok(account) = read {
        assert!(account.home_key().is_ok() && account.user_id.is_some() && (1..=1000).contains(&account.home_dc.0));
    }
}

fn run_files(mut files: Files) {
    for _ in 0..2 {
        if let Ok(tdata) = read_from(&files, b"") {
            assert!(!tdata.accounts.is_empty());
            tdata.accounts.into_iter().for_each(|account| check(&Ok(account)));
        }
        for content in files.values_mut() {
            if let Some(inner) = content.get(8..content.len().saturating_sub(16)) {
                *content = tdata::frame(inner, 5_008_003);
            }
        }
    }
}

fn unpack(mut data: &[u8]) -> Files {
    fn part<'a>(data: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (len, rest) = data.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
        let (part, rest) = rest.split_at_checked(len.min(rest.len()))?;
        *data = rest;
        Some(part)
    }
    let mut files = Files::new();
    while let (Some(name), Some(content)) = (part(&mut data), part(&mut data)) {
        files.insert(String::from_utf8_lossy(name).into_owned(), content.to_vec().into());
    }
    files
}

fn pack(files: &Files) -> Vec<u8> {
    let mut out = vec![0];
    for part in files.iter().flat_map(|(name, content)| [name.as_bytes(), content.as_slice()]) {
        out.extend_from_slice(&u32::try_from(part.len()).expect("small").to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

pub fn seeds() -> Vec<Seed> {
    use rand::SeedableRng as _;
    let mut rng = rand::rngs::StdRng::from_seed([1; 32]);
    let files = tdata::files(&[session(), session()], b"", &mut rng).expect("the session has all that is needed");
    let mut old = files.clone();
    let key = old.remove("key_datas").expect("it is written");
    old.insert("key_data1".to_owned(), key[..100].to_vec().into());
    old.insert("key_data0".to_owned(), key);
    let number = |number: i32| number.to_be_bytes().to_vec();
    let key = [[2; 256].as_slice(), &[0; 4]].concat();
    let inner = [vec![0xff; 8], vec![0; 7], vec![9], number(2), number(1), number(2), key].concat();
    let len = i32::try_from(inner.len()).expect("small");
    let account = [vec![1], number(0x4b), number(len), inner].concat();
    let list = [number(-2), number(1), number(2), number(16), number(443), number(7), b"1.2.3.4".to_vec(), number(0)].concat();
    let len = |bytes: &[u8]| number(i32::try_from(bytes.len()).expect("small"));
    let config = [number(1), number(0), len(&list), list].concat();
    let config = [vec![2], len(&config), config].concat();
    vec![
        ("current".to_owned(), pack(&files)),
        ("copies".to_owned(), pack(&old)),
        ("account".to_owned(), account),
        ("config".to_owned(), config),
    ]
}
