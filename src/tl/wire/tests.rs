//! Tests of the wire format: values there and back, and one test for each rule that bytes can break.

use bytes::Bytes;

use super::*;

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

fn string(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_bytes(&mut out, value);
    out
}

#[test]
fn numbers_are_little_endian() {
    let mut out = Vec::new();
    (-2i32).serialize(&mut out);
    0x0102_0304_0506_0708i64.serialize(&mut out);
    1.5f64.serialize(&mut out);
    true.serialize(&mut out);
    [7u8; 16].serialize(&mut out);
    [9u8; 32].serialize(&mut out);
    assert_eq!(out[..12], [0xfe, 0xff, 0xff, 0xff, 8, 7, 6, 5, 4, 3, 2, 1]);

    let mut r = reader(&out);
    assert_eq!(r.i32(), Ok(-2));
    assert_eq!(r.i64(), Ok(0x0102_0304_0506_0708));
    assert_eq!(r.f64(), Ok(1.5));
    assert_eq!(r.peek_u32(), Ok(BOOL_TRUE_ID));
    assert_eq!(r.bool(), Ok(true));
    assert_eq!((r.int128(), r.int256()), (Ok([7; 16]), Ok([9; 32])));
    assert_eq!((r.finish(), r.remaining(), r.position()), (Ok(()), 0, out.len()));
}

#[test]
fn strings_of_every_length_class_come_back() {
    for length in [0, 1, 2, 3, 4, 5, 252, 253, 254, 255, 256, 257, 1000, (1 << 24) - 1, 1 << 24, (1 << 24) + 1] {
        let value: Vec<u8> = (0..length).map(|i| i as u8).collect();
        let out = string(&value);
        assert_eq!(out.len() % 4, 0, "{length}");
        let mut r = reader(&out);
        assert_eq!(r.bytes().as_deref(), Ok(&value[..]), "{length}");
        assert_eq!(r.finish(), Ok(()), "{length}");
    }
    assert_eq!(string(b"abc"), b"\x03abc");
    assert_eq!(string(b"abcd"), b"\x04abcd\0\0\0");
    assert_eq!(string(&[b'x'; 254])[..5], [254, 254, 0, 0, b'x']);
}

#[test]
fn a_string_is_a_slice_of_the_buffer() {
    let buffer = Bytes::from(string(b"a text that is long enough"));
    let range = buffer.as_ptr_range();
    let text = Reader::new(buffer.clone()).string().unwrap();
    assert!(range.contains(&text.as_bytes().as_ptr()));
    // An empty one holds no buffer.
    let empty = Reader::new(Bytes::from_static(&[0; 4])).bytes().unwrap();
    assert!(empty.is_empty());
}

#[test]
fn all_strings_of_a_reader_are_slices_of_one_buffer() {
    let long = [b'x'; 300];
    let bytes = Bytes::from([string(b"one"), string(b""), vec![7, 0, 0, 0], string(&long), string(b"two")].concat());
    let range = bytes.as_ptr_range();
    let mut r = Reader::new(bytes.clone());
    let (one, empty, seven, long_one, two) = (r.next_string(), r.next_string(), r.next_u32(), r.next_string(), r.next_string());
    assert_eq!((r.finish(), seven), (Ok(()), 7));
    assert_eq!((&*one, &*empty, long_one.as_bytes(), &*two), ("one", "", &long[..], "two"));
    for text in [&one, &long_one, &two] {
        assert!(range.contains(&text.as_bytes().as_ptr()), "{text} was copied");
        assert_eq!(text.clone().into_bytes().as_ptr(), text.as_bytes().as_ptr());
    }
    // They outlive the reader and whoever else held the buffer.
    drop((r, bytes));
    assert_eq!((one.to_string(), two), ("one".to_owned(), Str::from("two")));
}

#[test]
fn words_in_a_row() {
    let mut r = reader(&[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!((r.next_is(2), r.next_is(1), r.next_words()), (false, true, [2, 3]));
    assert_eq!(r.finish(), Ok(()));
    let mut r = reader(&[1, 0, 0, 0, 2, 0]);
    assert_eq!((r.next_words(), r.status()), ([0; 2], Err(Error::UnexpectedEnd { needed: 8, left: 6 })));
    assert!(!reader(&[1, 0, 0]).next_is(1));
    let mut out = vec![9];
    write_words(&mut out, [1, 0x0203_0405]);
    assert_eq!(out, [9, 1, 0, 0, 0, 5, 4, 3, 2]);
}

#[test]
fn one_bad_byte_is_found_wherever_it_is() {
    for length in [1, 8, 63, 64, 65, 127, 128, 130, 200] {
        for at in 0..length {
            let mut bytes = vec![b'x'; length];
            bytes[at] = 0xff;
            let text = reader(&string(&bytes)).string().unwrap();
            assert_eq!(text.find('\u{fffd}'), Some(at), "{length}");
            assert_eq!(text.len(), length + 2);
        }
    }
}

#[test]
fn text_that_is_not_utf8_is_repaired() {
    let text = reader(&string(b"gr\xfc\xdfe")).string().unwrap();
    assert_eq!(text, "gr\u{fffd}\u{fffd}e");
    assert!([Str::from("b"), Str::from("a")].iter().min().is_some_and(|least| *least == "a"));
    assert_eq!(format!("{text} {text:?}"), format!("{0} {0:?}", text.as_str()));
}

#[test]
fn padding_bytes_may_hold_anything() {
    assert_eq!(reader(b"\x01a\xff\xfe").bytes().as_deref(), Ok(&b"a"[..]));
}

#[test]
fn every_prefix_ends_unexpectedly() {
    let bytes = |n: usize| string(&vec![1; n]);
    for (whole, read) in [
        (bytes(5), (|r| r.bytes().map(drop)) as fn(&mut Reader) -> Result<()>),
        (bytes(300), |r| r.string().map(drop)),
        (vec![0; 4], |r| r.u32().map(drop)),
        (vec![0; 4], |r| r.peek_u32().map(drop)),
        (vec![0; 4], |r| r.i32().map(drop)),
        (vec![0; 8], |r| r.i64().map(drop)),
        (vec![0; 8], |r| r.f64().map(drop)),
        (vec![0; 16], |r| r.int128().map(drop)),
        (vec![0; 32], |r| r.int256().map(drop)),
        (vec![0; 9], |r| r.raw(9).map(drop)),
        (true.to_bytes().to_vec(), |r| r.bool().map(drop)),
    ] {
        assert_eq!(read(&mut reader(&whole)), Ok(()));
        for end in 0..whole.len() {
            let error = read(&mut reader(&whole[..end]));
            assert!(
                matches!(error, Err(Error::UnexpectedEnd { needed, left }) if left == end && needed > left),
                "{end}: {error:?}"
            );
        }
    }
}

#[test]
fn a_length_that_no_memory_could_hold_is_an_unexpected_end() {
    let error = reader(&[255; 16]).bytes();
    assert!(matches!(error, Err(Error::UnexpectedEnd { left: 16, .. })), "{error:?}");
}

#[test]
fn a_long_prefix_for_a_short_string_is_refused() {
    for (prefix, length) in [
        (&[254, 3, 0, 0, 1, 2, 3, 0][..], 3),
        (&[254, 253, 0, 0], 253),
        (&[255, 3, 0, 0, 0, 0, 0, 0, 1, 2, 3, 0], 3),
        (&[255, 0xff, 0xff, 0xff, 0, 0, 0, 0], (1 << 24) - 1),
    ] {
        assert_eq!(reader(prefix).bytes(), Err(Error::NonMinimalLength { length }));
    }
}

#[test]
fn a_bool_has_two_constructors() {
    assert_eq!(reader(&[1, 0, 0, 0]).bool(), Err(Error::BadBool { id: 1 }));
    assert_eq!(bool::from_bytes(false.to_bytes()), Ok(false));
}

#[test]
fn a_vector_begins_with_its_id() {
    assert_eq!(Vec::<i32>::from_bytes(vec![1i32, 2].to_bytes()), Ok(vec![1, 2]));
    assert_eq!(Vec::<i32>::from_bytes(Bytes::from_static(&[0; 8])), Err(Error::BadVector { id: 0 }));
    assert_eq!(reader(&[2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]).bare_vector::<i32>(), Ok(vec![1, 2]));
}

#[test]
fn a_vector_cannot_claim_more_than_the_bytes_could_hold() {
    for (count, rest) in [(1u32, 3), (3, 11), (0x7fff_ffff, 400), (u32::MAX, 400)] {
        let mut bytes = VECTOR_ID.to_le_bytes().to_vec();
        bytes.extend(count.to_le_bytes());
        bytes.resize(8 + rest, 0);
        assert_eq!(Vec::<i32>::from_bytes(bytes.into()), Err(Error::VectorTooLong { count, left: rest }));
    }
}

#[test]
fn what_is_reserved_for_a_vector_follows_the_elements_that_are_there() {
    // A count that the bytes could hold if every element took four, of elements that take more.
    #[derive(Debug, PartialEq)]
    struct Large([[u8; 32]; 8]);
    impl Deserialize for Large {
        fn read(reader: &mut Reader) -> Self {
            Self([(); 8].map(|()| reader.next_int256()))
        }
    }
    let one = {
        let mut bytes = 1u32.to_le_bytes().to_vec();
        bytes.resize(4 + 256, 0);
        Reader::new(bytes.into()).bare_vector::<Large>().unwrap()
    };
    assert!(one.capacity() <= 256);
    let mut bytes = (1u32 << 20).to_le_bytes().to_vec();
    bytes.resize(4 + (4 << 20), 0);
    assert_eq!(Reader::new(bytes.into()).bare_vector::<Large>().unwrap_err(), Error::UnexpectedEnd { needed: 32, left: 0 });
}

#[test]
fn depth_has_a_limit() {
    let mut r = reader(&[]);
    for _ in 0..MAX_DEPTH {
        r.enter();
        assert_eq!(r.status(), Ok(()));
    }
    r.leave();
    r.enter();
    assert_eq!(r.status(), Ok(()));
    r.enter();
    assert_eq!(r.status(), Err(Error::TooDeep { limit: MAX_DEPTH }));
}

#[test]
fn a_spoilt_reader_tells_of_the_first_error_and_gives_nothing_more() {
    let bytes = [&[1, 0, 0, 0][..], b"\x03abc", &VECTOR_ID.to_le_bytes(), &[1, 0, 0, 0, 7, 0, 0, 0]].concat();
    let first = Error::BadBool { id: 1 };
    let spoilt = || {
        let mut r = reader(&bytes);
        assert!(!r.next_bool());
        r
    };
    assert_eq!((spoilt().status(), spoilt().finish(), spoilt().peek_u32()), (Err(first), Err(first), Err(first)));
    assert_eq!((spoilt().remaining(), spoilt().rest().len(), spoilt().raw(0)), (0, 0, Err(first)));
    assert_eq!((spoilt().u32(), spoilt().next_u32()), (Err(first), 0));
    assert_eq!((spoilt().i32(), spoilt().next_i32()), (Err(first), 0));
    assert_eq!((spoilt().next_words(), spoilt().next_is(0x6362_6103)), ([0; 2], false));
    assert_eq!((spoilt().i64(), spoilt().next_i64()), (Err(first), 0));
    assert_eq!((spoilt().f64(), spoilt().next_f64()), (Err(first), 0.0));
    assert_eq!((spoilt().int128(), spoilt().next_int128()), (Err(first), [0; 16]));
    assert_eq!((spoilt().int256(), spoilt().next_int256()), (Err(first), [0; 32]));
    assert_eq!((spoilt().string(), spoilt().next_string()), (Err(first), Str::default()));
    assert_eq!((spoilt().vector::<i32>(), spoilt().next_vector::<i32>()), (Err(first), vec![]));
    assert_eq!((spoilt().bare_vector::<i32>(), spoilt().vector_count()), (Err(first), Err(first)));
}

#[test]
fn a_vector_ends_at_the_first_element_that_breaks_a_rule() {
    let bytes = [&VECTOR_ID.to_le_bytes()[..], &[3, 0, 0, 0], &BOOL_TRUE_ID.to_le_bytes(), &[9; 4], &[9; 4]].concat();
    let mut r = reader(&bytes);
    assert_eq!(r.next_vector::<bool>().len(), 2);
    assert_eq!(r.status(), Err(Error::BadBool { id: 0x0909_0909 }));
}

#[test]
fn nothing_may_follow_an_object() {
    assert_eq!(i32::from_bytes(Bytes::from_static(&[0; 7])), Err(Error::TrailingBytes { left: 3 }));
}

#[test]
fn a_raw_object_is_all_the_rest() {
    let mut r = reader(&[1, 0, 0, 0, 2, 3]);
    r.u32().unwrap();
    let rest = RawObject::deserialize(&mut r).unwrap();
    assert_eq!((&rest.0[..], rest.to_bytes(), r.remaining()), (&[2, 3][..], rest.0.clone(), 0));
}
