//! Requests whose body is in two pieces: they go out as if it were in one.

use bytes::Bytes;

use super::peer::{START, client, output};
use crate::mtproto::{
    envelope::Side,
    session::{ApiMisuse, Query, RequestOptions, Session},
};

const OPTIONS: RequestOptions = RequestOptions { method: 0, compress: false, alone: false, quick_ack: false };

fn bodies(cut: usize) -> (Bytes, Query) {
    let whole: Bytes = [&0x0bad_cafe_u32.to_le_bytes()[..], &[7; 4000]].concat().into();
    let query = Query::in_pieces(whole.slice(..cut), whole.slice(cut..));
    (whole, query)
}

#[test]
fn two_pieces_are_as_one() {
    for cut in [4, 100, 3999, 4004] {
        for compress in [false, true] {
            let (whole, query) = bodies(cut);
            assert_eq!((query.len(), query.is_empty(), query.to_bytes()), (4004, false, whole.clone()));
            let options = RequestOptions { compress, ..OPTIONS };
            let mut sessions = [client(), client()];
            for (session, query) in sessions.iter_mut().zip([whole.clone().into(), query]) {
                let before = session.request_query(START, query.clone(), options, &[]).unwrap();
                let other = session.request_query(START, query.clone(), options, &[before]).unwrap();
                // After several the list of them goes in front of the first piece.
                session.request_query(START, query, options, &[before, other]).unwrap();
            }
            let [one, two] = sessions.each_mut().map(|session: &mut Session| output(session, START, Side::Client));
            assert_eq!((two.len(), &two), (3, &one));
            assert_eq!(two[0].body == whole, !compress);
        }
    }
}

#[test]
fn what_is_in_front_can_be_taken_off_again() {
    let (whole, query) = bodies(8);
    let behind = query.behind(b"front");
    assert_eq!((behind.len(), behind.head().len()), (4009, 13));
    assert_eq!(behind.pieces()[1].as_ptr(), query.pieces()[1].as_ptr(), "the long piece is not copied");
    assert!(behind.without(5) == query && query.behind(b"") == query && query.without(0) == query);
    assert_eq!(query.without(1000).to_bytes(), whole.slice(8..), "no more than the first piece");
    assert!(query == Query::from(whole) && bodies(100).1 == query && query != behind, "wherever it is cut");
    assert!(Query::from(Bytes::new()).is_empty());
    assert_eq!(format!("{query:?}"), "Query { len: 4004 }");
}

#[test]
fn lengths_are_those_of_both() {
    let mut session = client();
    let (_, query) = bodies(100);
    let odd = Query::in_pieces(query.to_bytes(), Bytes::from_static(b"odd"));
    assert_eq!(session.request_query(START, odd, OPTIONS, &[]), Err(ApiMisuse::NotTl { len: 4007 }));
    let long = Query::in_pieces(query.to_bytes(), vec![0; 64 << 20].into());
    assert!(matches!(session.request_query(START, long, OPTIONS, &[]), Err(ApiMisuse::TooLong { .. })));
}
