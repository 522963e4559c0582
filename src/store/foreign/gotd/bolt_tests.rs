use super::*;

type Buckets = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>>;

fn read(bytes: &[u8]) -> Result<Buckets, Error> {
    Bolt::open(bytes)?.buckets()
}

fn example() -> Zeroizing<Vec<u8>> {
    write(b"default", &BTreeMap::from([(b"app".as_slice(), b"desktop".as_slice()), (b"session", &[7; 9000])]))
}

/// Sets a number in the facts of a page, and its checksum.
fn set_facts(bytes: &mut [u8], page: usize, at: usize, value: u64) {
    let meta = &mut bytes[page * PAGE + HEAD..][..META];
    meta[at..at + 8].copy_from_slice(&value.to_le_bytes());
    let sum = fnv(&meta[..META - 8]);
    meta[META - 8..].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn the_checksum_is_the_published_one() {
    assert_eq!(fnv(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(fnv(b"a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
}

#[test]
fn what_is_written_is_read_again_over_several_pages() {
    let bytes = example();
    assert!(is_bolt(&bytes) && !is_bolt(b"SQLite format 3\0"));
    let buckets = read(&bytes).unwrap();
    assert_eq!(buckets.keys().collect::<Vec<_>>(), [b"default"]);
    let values = &buckets[b"default".as_slice()];
    assert_eq!(values[b"app".as_slice()].as_slice(), b"desktop");
    assert_eq!(values[b"session".as_slice()].as_slice(), [7; 9000]);
}

#[test]
fn the_newer_facts_count_as_long_as_they_are_whole() {
    let mut bytes = example();
    // Transaction 1 wrote the second page; it says that the root is a page that is none.
    set_facts(&mut bytes, 1, 16, 2);
    assert!(matches!(read(&bytes), Err(Error::BoltPage { page: 2 })));
    bytes[PAGE + HEAD + 20] ^= 1;
    assert!(read(&bytes).is_ok(), "the older ones are whole");
    let mut bytes = example();
    bytes[HEAD] ^= 1;
    assert!(read(&bytes).is_ok(), "the second are found without the first");
    bytes[PAGE + HEAD] ^= 1;
    assert!(matches!(read(&bytes), Err(Error::BoltFacts)));
    for size in [0, 512, 4097, 1 << 25] {
        let mut bytes = example();
        set_facts(&mut bytes, 0, 8, size);
        set_facts(&mut bytes, 1, 8, size);
        assert!(matches!(read(&bytes), Err(Error::BoltFacts)), "{size}");
    }
}

#[test]
fn branches_and_buckets_inside_their_entry_are_read() {
    // Root: a branch with two leaves; one of the buckets has its page behind its head.
    let inside = {
        let page = leaf(0, &[(b"k", b"v", 0)]);
        [&[0; HEAD], &page[..HEAD + ELEMENT + 2]].concat()
    };
    let pointing = [5_u64.to_le_bytes(), 0_u64.to_le_bytes()].concat();
    let mut bytes = example()[..3 * PAGE].to_vec();
    let mut branch = Vec::new();
    for child in [4_u64, 6] {
        branch.extend_from_slice(&[0; 8]);
        branch.extend_from_slice(&child.to_le_bytes());
    }
    put_page(&mut bytes, page_head(3, BRANCH, 2, 0), &branch);
    bytes.extend_from_slice(&leaf(4, &[(b"one", &inside, BUCKET), (b"plain", b"value", 0)]));
    bytes.extend_from_slice(&leaf(5, &[(b"x", b"y", 0), (b"z", &inside, BUCKET)]));
    bytes.extend_from_slice(&leaf(6, &[(b"two", &pointing, BUCKET)]));
    let buckets = read(&bytes).unwrap();
    let of = |name: &[u8]| buckets[name].iter().map(|(k, v)| (k.clone(), v.to_vec())).collect::<Vec<_>>();
    assert_eq!(buckets.len(), 2);
    assert_eq!(of(b"one"), [(b"k".to_vec(), b"v".to_vec())]);
    assert_eq!(of(b"two"), [(b"x".to_vec(), b"y".to_vec())]);
}

#[test]
fn a_page_that_comes_twice_is_a_loop() {
    let mut bytes = example()[..3 * PAGE].to_vec();
    let mut branch = vec![0; 8];
    branch.extend_from_slice(&3_u64.to_le_bytes());
    put_page(&mut bytes, page_head(3, BRANCH, 1, 0), &branch);
    assert!(matches!(read(&bytes), Err(Error::BoltLoop { page: 3 })));
    let mut bytes = example()[..3 * PAGE].to_vec();
    let itself = [3_u64.to_le_bytes(), 0_u64.to_le_bytes()].concat();
    bytes.extend_from_slice(&leaf(3, &[(b"b", &itself, BUCKET)]));
    assert!(matches!(read(&bytes), Err(Error::BoltLoop { page: 3 })));
}

#[test]
fn pages_that_are_not_there_or_not_what_they_should_be() {
    let damage = |page: usize, at: usize, bytes: &[u8]| {
        let mut file = example();
        file[page * PAGE + at..][..bytes.len()].copy_from_slice(bytes);
        read(&file)
    };
    let root_is_bad = |result| matches!(result, Err(Error::BoltPage { page: 3 }));
    assert!(root_is_bad(damage(3, 0, &[9])), "another number");
    assert!(root_is_bad(damage(3, 8, &[0x10])), "another kind");
    assert!(root_is_bad(damage(3, 10, &[0xff, 0xff])), "more entries than there is room for");
    assert!(root_is_bad(damage(3, 12, &[0xff; 4])), "an overflow past the end");
    assert!(root_is_bad(damage(3, HEAD + 4, &[0xff; 4])), "a key past the end");
    assert!(root_is_bad(damage(3, HEAD + 12, &[0xff; 4])), "a value past the end");
    assert!(matches!(damage(3, HEAD + ELEMENT + 7, &[0xff; 8]), Err(Error::BoltPage { page: u64::MAX })), "a bucket nowhere");
    let whole = example();
    for end in (0..whole.len()).step_by(97) {
        assert!(matches!(read(&whole[..end]), Err(Error::BoltFacts | Error::BoltPage { .. })), "end at {end}");
    }
}
