//! The decoder: any cut of the bytes gives the same events.

use headwater_llm::sse::{MAX_LINE_BYTES, SseDecoder, SseError};
use proptest::prelude::*;

type Seen = Vec<(String, String)>;

fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Seen, SseError> {
    let mut decoder = SseDecoder::new();
    let mut seen = Seen::new();
    for chunk in chunks {
        decoder.feed::<SseError>(chunk, |event| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            seen.push((text(event.name), text(event.data)));
            Ok(())
        })?;
    }
    Ok(seen)
}

fn data(seen: &Seen) -> Vec<&str> {
    seen.iter().map(|(_, data)| data.as_str()).collect()
}

#[test]
fn the_standards_own_examples() {
    let seen = decode([&b"data: YHOO\ndata: +2\ndata: 10\n\n"[..]]).expect("fits");
    assert_eq!(data(&seen), ["YHOO\n+2\n10"]);
    let seen =
        decode([&b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"[..]]);
    assert_eq!(data(&seen.expect("fits")), ["first event", "second event", " third event"]);
    let seen = decode([&b"data\n\ndata\ndata\n\ndata:"[..]]).expect("fits");
    assert_eq!(data(&seen), ["", "\n"], "the last block is not ended");
    let seen = decode([&b"data:test\n\ndata: test\n\n"[..]]).expect("fits");
    assert_eq!(data(&seen), ["test", "test"]);
}

#[test]
fn every_line_end_a_mark_at_the_start_and_names() {
    let stream = b"\xEF\xBB\xBFevent: a\r\ndata: 1\r\n\r\ndata: 2\r\revent:b\ndata: 3\n\n";
    let expected = [("a", "1"), ("", "2"), ("b", "3")].map(|(name, data)| (name.to_owned(), data.to_owned()));
    assert_eq!(decode([&stream[..]]).expect("fits"), expected);
    for cut in 0..stream.len() {
        assert_eq!(decode([&stream[..cut], &stream[cut..]]).expect("fits"), expected, "cut at {cut}");
    }
}

#[test]
fn lines_and_events_are_bounded() {
    let long = vec![b'x'; MAX_LINE_BYTES + 1];
    assert_eq!(decode([&long[..]]), Err(SseError::LineTooLong));
    assert_eq!(decode(long.chunks(1000)), Err(SseError::LineTooLong));
    let line = [b"data: ".to_vec(), vec![b'x'; 1000], b"\n".to_vec()].concat();
    assert_eq!(decode(std::iter::repeat_n(&line[..], 2000)), Err(SseError::EventTooLong));
    let fits = [b"data: ".to_vec(), vec![b'x'; MAX_LINE_BYTES - 6], b"\n\n".to_vec()].concat();
    assert_eq!(decode([&fits[..]]).expect("fits")[0].1.len(), MAX_LINE_BYTES - 6);
    assert_eq!(decode(fits.chunks(4096)).expect("fits")[0].1.len(), MAX_LINE_BYTES - 6);
}

#[test]
fn the_end_shows_what_was_open() {
    for rest in ["data: [DONE]", "data: [DONE]\n", "data: [DONE]\r"] {
        let mut decoder = SseDecoder::new();
        decoder.feed::<SseError>(rest.as_bytes(), |_| panic!("it is not ended")).expect("fits");
        let mut seen = Vec::new();
        decoder
            .finish::<SseError>(|event| {
                seen.push(event.data.to_vec());
                Ok(())
            })
            .expect("fits");
        assert_eq!(seen, [b"[DONE]"]);
    }
}

/// The decoder written as the standard says it, over the whole text at once.
fn reference(text: &str) -> Seen {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let Some((whole, _)) = text.rsplit_once('\n') else { return Seen::new() };
    let (mut seen, mut name, mut lines) = (Seen::new(), String::new(), Vec::new());
    for line in whole.split('\n') {
        if line.is_empty() {
            if !lines.is_empty() {
                seen.push((std::mem::take(&mut name), std::mem::take(&mut lines).join("\n")));
            }
            name.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "data" => lines.push(value),
            "event" => name = value,
            _ => {}
        }
    }
    seen
}

fn streams() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "data:[ ]{0,2}[a-z\u{e4}\u{1f600}:]{0,6}",
        1 => "event: ?[a-z]{0,3}",
        1 => "(:[a-z]{0,3}|id: 1|retry|data|[a-z:]{0,4})",
        3 => Just(String::new()),
    ];
    let end = prop_oneof![3 => Just("\n"), 2 => Just("\r\n"), 1 => Just("\r")];
    let lines = prop::collection::vec((line, end), 0..20);
    (any::<bool>(), lines, "[a-z:]{0,3}").prop_map(|(mark, lines, rest)| {
        let mut text = if mark { "\u{feff}".to_owned() } else { String::new() };
        text.extend(lines.iter().flat_map(|(line, end)| [line.as_str(), end]));
        text + &rest
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_chunking_gives_the_same_events(text in streams(), cuts in prop::collection::vec(0usize..200, 0..8)) {
        let bytes = text.as_bytes();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        let expected = reference(&text);
        prop_assert_eq!(&decode(chunks).expect("fits"), &expected);
        prop_assert_eq!(&decode([bytes]).expect("fits"), &expected);
        prop_assert_eq!(&decode(bytes.chunks(1)).expect("fits"), &expected);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1usize..50) {
        prop_assert_eq!(decode(bytes.chunks(size)), decode([&bytes[..]]));
    }
}
