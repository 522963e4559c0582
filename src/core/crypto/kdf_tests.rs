use super::super::testing::{counting, samples, unhex, unhex_array};
use super::*;

fn check(found: &AesKeyIv, key: &str, iv: &str) {
    assert_eq!(hex::encode(found.key), key);
    assert_eq!(hex::encode(found.iv), iv);
}

#[test]
fn aes_v2_of_grammers_counting_key() {
    let (key, msg_key) = (AuthKey::from_bytes(&counting()), counting());
    check(
        &aes_v2(&key, &msg_key, Side::Client),
        "704ed09c8b41668ae8f99d244738f71dbddc44469b6bbd4aa8573dd042bd059e",
        "4d266000a550edabbf4c7ce40fd0043cc92230184cd317a5cc9c2482fd3b9318",
    );
    check(
        &aes_v2(&key, &msg_key, Side::Server),
        "217725799b245806458174a1fcfbc883906807b15033fdd0ea2b4d69cf9c364e",
        "669a6538917a4fa56ca32360a431c9160be4ad887140980dab91ce7bdc47ffbc",
    );
}

#[test]
fn aes_v2_of_mtcute_test_key() {
    let key = mtcute_key();
    let msg_key = unhex_array("25d701f2a29205526757825a99eb2d32");
    check(
        &aes_v2(&key, &msg_key, Side::Client),
        "af3f8e1ffa75f4c981eec33a3e5bbaa2ea48f9bb93e91597627eb1f67960a0c9",
        "9874d77f95155b35221bff94b7df4594c6996e2a62e44fcb7d93c8c4e41b79ee",
    );
    check(
        &aes_v2(&key, &msg_key, Side::Server),
        "d4b378e1e0525f10ff9d4c42807ccce5b30a033a8088c0b922b5259421751648",
        "4d7194f42f0135d2fd83050b403265b4c40ee3e9e9fba56f0f4d8ea6bcb121f5",
    );
}

#[test]
fn aes_v1_of_gotd_counting_key() {
    let (key, msg_key) = (AuthKey::from_bytes(&counting()), counting());
    check(
        &aes_v1(&key, &msg_key, Side::Client),
        "17d7295ca9213d1ab656acdb1ad48b2ea7f3a8f7095098d5508b900bbd5fccfc",
        "2d7d16a65a84108e9805656caa474501cc580aa2edc33abfd0bfad785464d1c6",
    );
    check(
        &aes_v1(&key, &msg_key, Side::Server),
        "bb17b07eb91110647098b069bd1a9b6fe5c4bcc3c31f8e67e831d07a61085f68",
        "5197fc1e25b41fe36f18b5a3a8b2b36cb2cb061f1f157b3514fe42e74fb58359",
    );
}

#[test]
fn msg_key_v1_of_gotd() {
    assert_eq!(hex::encode(msg_key_v1(b"bind-message-test-payload")), "fc11a3669566de22b87f66550dc3de6d");
}

#[test]
fn tmp_aes_of_the_published_samples() {
    for sample in samples() {
        let found = tmp_aes(&sample.array("server_nonce"), &sample.array("new_nonce"));
        assert_eq!(found.key.to_vec(), sample.bytes("tmp_aes_key"), "{}", sample.name);
        assert_eq!(found.iv.to_vec(), sample.bytes("tmp_aes_iv"), "{}", sample.name);
    }
}

#[test]
fn tmp_aes_of_grammers() {
    check(
        &tmp_aes(&counting(), &counting()),
        "0758f1533b615d24f6e8a94a6fcbee0a55eaab2217d7295ca9213d1a2d7d16a6",
        "5a84108e9805656ce864070e166e6218f6783e8511471a5ab7802cf200010203",
    );
}

#[test]
fn tmp_aes_keeps_leading_zeros() {
    // gotd: both nonces begin with a zero byte.
    check(
        &tmp_aes(&unhex_array("002122232425262728292a2b2c2d2e2f"), &counting()),
        "0a2d0f607499a866848e41798a34315e4922c39fe55c6caf5bc322c4b8c08c6a",
        "9cb702d4fd6e5d25e864070e166e6218f6783e8511471a5ab7802cf200010203",
    );
}

/// The samples' encrypted parts open with the derived keys: hash, content and padding.
#[test]
fn tmp_aes_opens_the_published_answers() {
    for sample in samples() {
        let Some(mut answer) = sample.find("encrypted_answer") else { continue };
        let keys = tmp_aes(&sample.array("server_nonce"), &sample.array("new_nonce"));
        keys.decrypt(&mut answer).unwrap();
        let (hash, rest) = answer.split_at(20);
        let content = &rest[..564];
        assert_eq!(sha1(&[content]), hash, "{}", sample.name);
        assert!(content.windows(256).any(|part| part == sample.bytes("g_a")));
        if let Some(expected) = sample.find("answer_padding") {
            assert_eq!(rest[564..], expected);
            assert_eq!(hash, sample.bytes("answer_sha1"));
        }
        let plain = answer.clone();
        keys.encrypt(&mut answer).unwrap();
        assert_eq!(answer, sample.bytes("encrypted_answer"));
        assert_ne!(answer, plain);
    }
}

#[test]
fn tmp_aes_opens_the_published_client_answers() {
    for sample in samples() {
        let Some(mut data) = sample.find("client_encrypted_data") else { continue };
        let keys = tmp_aes(&sample.array("server_nonce"), &sample.array("new_nonce"));
        keys.decrypt(&mut data).unwrap();
        let content = &data[20..data.len() - 12];
        assert_eq!(sha1(&[content]), data[..20], "{}", sample.name);
        assert!(content.ends_with(&sample.bytes("g_b")));
        if let Some(padding) = sample.find("client_padding") {
            assert_eq!(data[data.len() - 12..], padding);
        }
    }
}

/// A whole client packet of grammers: key identifier, message key, ciphertext.
#[test]
fn packet_of_grammers() {
    let key = AuthKey::from_bytes(&counting());
    let mut data = b"Hello, world! This data should remain secure!".to_vec();
    data.extend([0; 19]);
    let msg_key = msg_key_v2(&key, Side::Client, &data);
    aes_v2(&key, &msg_key, Side::Client).encrypt(&mut data).unwrap();
    let packet = [&key.id().to_le_bytes()[..], &msg_key, &data].concat();
    assert_eq!(
        packet,
        unhex(
            "32d1586ea457dfc8a81729d46db54019a2bfd7f744f9b96c4f716cfdc4477db2a2c15f6ddb85235fb9552f1d8407c6aa
             ea00cc844c5a1bf6ac44b79b5edc2a23868b3d6073a590992c0f2975243d563ea180d218ee757c9a"
        )
    );
}

/// A whole client packet of mtcute.
#[test]
fn packet_of_mtcute() {
    let key = mtcute_key();
    let mut data = Vec::new();
    for word in [0xdead_beef_u32, 0xbeef_dead, 0xfeed_beef, 0xbeef_feed, 0xbeef_1234, 0x1234_beef, 777, 16] {
        data.extend(word.to_le_bytes());
    }
    data.extend(b"hello, world!!!!");
    data.extend(unhex("29afd26df40fb8ed10b6b4ad6d56ef5d"));
    let msg_key = msg_key_v2(&key, Side::Client, &data);
    aes_v2(&key, &msg_key, Side::Client).encrypt(&mut data).unwrap();
    let packet = [&key.id().to_le_bytes()[..], &msg_key, &data].concat();
    assert_eq!(
        packet,
        unhex(
            "40fa5bb7cb56a895f6f5a88914892aadf87c68031cc953ba29d68e118021f329be386a620d49f3ad3a50c60dcef3733f
             214e8cefa3e403c11d193637d4971dc15db7f74b26fd16cb0e8fee30bf7e3f68858fe82927e2cd06"
        )
    );
}

#[test]
fn msg_key_is_the_middle_of_msg_key_large() {
    let key = AuthKey::from_bytes(&counting());
    for side in [Side::Client, Side::Server] {
        let large = msg_key_large(&key, side, b"data");
        assert_eq!(msg_key_v2(&key, side, b"data"), large[8..24]);
    }
    assert_ne!(msg_key_large(&key, Side::Client, b""), msg_key_large(&key, Side::Server, b""));
}

#[test]
fn sides_are_each_others_peers() {
    assert_eq!(Side::Client.peer(), Side::Server);
    assert_eq!(Side::Server.peer(), Side::Client);
}

#[test]
fn secrets_are_neither_printed_nor_left() {
    let mut keys = AesKeyIv { key: [0xa7; 32], iv: [0xa7; 32] };
    assert_eq!(format!("{keys:?}"), "AesKeyIv(..)");
    keys.zeroize();
    assert_eq!((keys.key, keys.iv), ([0; 32], [0; 32]));
    fn wiped_when_dropped<T: ZeroizeOnDrop>(_: &T) {}
    wiped_when_dropped(&keys);
}

fn mtcute_key() -> AuthKey {
    let eighth = unhex("98cb29c6ffa89e79da695a54f572e6cb101e81c688b63a4bf73c3622dec230e0");
    AuthKey::try_from_slice(&eighth.repeat(8)).unwrap()
}
