//! What targets break off, refuse, or get wrong.

use super::*;

/// nginx/nginx#1431, and many clients: a request that a GOAWAY leaves out may be sent again, whatever its method, and
/// those that it does not leave out go on.
#[tokio::test]
async fn a_goaway_refuses_what_was_not_looked_at_and_nothing_else() {
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    let Turn::Place(second) = http2.turn(false).await else { panic!("it is not shared") };
    let (mut first, mut second) = (ask(place, &get(), None), ask(second, &get(), None));
    hear(&mut peer, 2).await;
    peer.write_all(&head(1, false)).await.unwrap();
    assert_eq!(status(&mut first).await, 200);
    peer.write_all(&go_away(1, Reason::NO_ERROR)).await.unwrap();
    let refused = failure(&mut second).await;
    assert_eq!((refused.kind, refused.sent), (FailureKind::Reset, Sent::Refused));
    assert!(refused.is_stale, "{refused}");
    assert!(matches!(http2.turn(false).await, Turn::Open(_)), "it takes no new requests");
    peer.write_all(&frame(0, 1, 1, b"rest")).await.unwrap();
    assert_eq!(rest(&mut first).await, 4);
}

#[tokio::test]
async fn a_goaway_of_an_error_fails_what_is_under_way() {
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    let mut exchange = ask(place, &get(), None);
    hear(&mut peer, 1).await;
    peer.write_all(&go_away(1, Reason::ENHANCE_YOUR_CALM)).await.unwrap();
    drop(peer);
    let broken = failure(&mut exchange).await;
    assert_eq!((broken.kind, broken.sent), (FailureKind::Reset, Sent::Maybe));
}

#[tokio::test]
async fn a_refused_stream_may_be_sent_again_and_a_reset_one_may_not() {
    let cases = [
        (Reason::REFUSED_STREAM, Sent::Refused, "it refused the stream"),
        (Reason::CANCEL, Sent::Maybe, "it reset the stream (stream no longer needed)"),
        (Reason::NO_ERROR, Sent::Maybe, "it reset the stream (not a result of an error)"),
        (
            Reason::INTERNAL_ERROR,
            Sent::Maybe,
            "it reset the stream (unexpected internal error encountered)",
        ),
    ];
    for (reason, sent, detail) in cases {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = scripted(&http2).await;
        let mut exchange = ask(place, &get(), None);
        hear(&mut peer, 1).await;
        peer.write_all(&reset(1, reason)).await.unwrap();
        let failure = failure(&mut exchange).await;
        assert_eq!((failure.kind, failure.sent), (FailureKind::Reset, sent));
        assert_eq!((failure.detail.as_str(), failure.is_stale), (detail, false));
    }
    // What has begun is not refused, whatever the target says.
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    let mut exchange = ask(place, &get(), None);
    hear(&mut peer, 1).await;
    peer.write_all(&head(1, false)).await.unwrap();
    assert_eq!(status(&mut exchange).await, 200);
    peer.write_all(&reset(1, Reason::REFUSED_STREAM)).await.unwrap();
    assert_eq!(failure(&mut exchange).await.sent, Sent::Maybe);
}

/// hyperium/hyper#2872: a response that is whole stays whole, though the rest of the request is not wanted.
#[tokio::test]
async fn a_whole_response_counts_though_the_request_is_cut_off() {
    for (with_body, with_trailers) in [(false, false), (true, false), (true, true)] {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = scripted(&http2).await;
        let (feed, fed) = Feed::new();
        let mut exchange = ask(place, &get(), Some(fed));
        hear(&mut peer, 1).await;
        feed.send(Bytes::from("part")).unwrap();
        let mut answer = head(1, !with_body);
        if with_body {
            answer.extend(frame(0, u8::from(!with_trailers), 1, b"early"));
        }
        if with_trailers {
            // `a: b`, without a table.
            answer.extend(frame(1, 5, 1, b"\x00\x01a\x01b"));
        }
        answer.extend(reset(1, Reason::NO_ERROR));
        peer.write_all(&answer).await.unwrap();
        // All of it is there before the first event is asked for.
        sleep(Duration::from_millis(20)).await;
        assert_eq!(status(&mut exchange).await, 200);
        let mut events = Vec::new();
        loop {
            match next(&mut exchange).await {
                Event::End => break,
                other => events.push(format!("{other:?}")),
            }
        }
        assert_eq!(events.len(), usize::from(with_body) + usize::from(with_trailers), "{events:?}");
        assert!(events.iter().all(|event| !event.contains("Failed")), "{events:?}");
        assert!(timeout(LONG, feed.ready()).await.unwrap().is_err(), "nobody wants the rest");
    }
}

#[tokio::test]
async fn what_is_cut_off_is_never_a_clean_end() {
    for with_reset in [true, false] {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = scripted(&http2).await;
        let mut exchange = ask(place, &get(), None);
        hear(&mut peer, 1).await;
        peer.write_all(&head(1, false)).await.unwrap();
        peer.write_all(&frame(0, 0, 1, b"part")).await.unwrap();
        assert_eq!(status(&mut exchange).await, 200);
        if with_reset {
            peer.write_all(&reset(1, Reason::NO_ERROR)).await.unwrap();
        } else {
            drop(peer);
        }
        let cut = failure(&mut exchange).await;
        assert_eq!((cut.kind, cut.sent, cut.is_stale), (FailureKind::Reset, Sent::Maybe, false));
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_stale() {
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    let mut first = ask(place, &get(), None);
    hear(&mut peer, 1).await;
    peer.write_all(&head(1, true)).await.unwrap();
    assert_eq!(status(&mut first).await, 200);
    assert_eq!(rest(&mut first).await, 0);
    drop(first);
    let Turn::Place(place) = http2.turn(false).await else { panic!("it was not kept") };
    let mut second = ask(place, &get(), None);
    drop(peer);
    let broken = failure(&mut second).await;
    assert!(broken.is_stale && broken.kind == FailureKind::Reset, "{broken:?}");
    assert_eq!(http2.count(), (0, 0));
    // And a request that finds the connection closed is not even sent.
    assert!(matches!(http2.turn(false).await, Turn::Open(_)));
}

#[tokio::test]
async fn a_connection_that_closes_between_turn_and_request_sends_nothing() {
    let http2 = Http2::new(MINUTE);
    let (place, mut peer) = scripted(&http2).await;
    peer.write_all(&go_away(0, Reason::NO_ERROR)).await.unwrap();
    while !matches!(place.connection().room(STREAMS), connection::Room::Closing) {
        tokio::task::yield_now().await;
    }
    let started = Http2Exchange::start(place, &get().into(), None, Scheme::HTTP, host());
    let Err((NotStarted::Closing(failure), _)) = started.map(drop) else { panic!("it was sent") };
    assert_eq!((failure.kind, failure.sent), (FailureKind::Reset, Sent::Nothing));
}

#[tokio::test]
async fn what_breaks_the_rules_of_http2_is_told() {
    let cases: [(&str, Vec<u8>); 4] = [
        // `content-length: 5`, without a table, and four bytes.
        (
            "length",
            [frame(1, 4, 1, b"\x88\x00\x0econtent-length\x015"), frame(0, 1, 1, b"four")].concat(),
        ),
        ("data first", frame(0, 1, 1, b"early")),
        ("uppercase", frame(1, 5, 1, b"\x88\x00\x01A\x01b")),
        ("connection", frame(1, 5, 1, b"\x88\x00\x0aconnection\x05close")),
    ];
    for (name, answer) in cases {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = scripted(&http2).await;
        let mut exchange = ask(place, &get(), None);
        hear(&mut peer, 1).await;
        peer.write_all(&answer).await.unwrap();
        let broken = failure(&mut exchange).await;
        assert_eq!(
            (broken.kind, broken.sent),
            (FailureKind::Protocol, Sent::Maybe),
            "{name}: {broken}"
        );
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_not_taken_for_a_refused_stream() {
    let http2 = Http2::new(MINUTE);
    let place = served(&http2, server::Builder::new(), |_, mut reply| {
        let mut long = ok();
        for number in 0..40 {
            let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
            long.headers_mut().insert(name, "a".repeat(4096).parse().unwrap());
        }
        reply.send_response(long, true).unwrap();
    })
    .await;
    let mut exchange = ask(place, &get(), None);
    let broken = failure(&mut exchange).await;
    assert_eq!((broken.kind, broken.sent), (FailureKind::Protocol, Sent::Maybe), "{broken}");
}

#[tokio::test]
async fn what_does_not_speak_http2_gets_no_request() {
    for (answer, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], "it does not speak HTTP/2"),
        (b"", "it closed the connection where HTTP/2 begins"),
    ] {
        let http2 = Http2::new(MINUTE);
        let (place, mut peer) = place_and_peer(&http2).await;
        peer.write_all(answer).await.unwrap();
        if answer.is_empty() {
            drop(peer);
        }
        let failure = timeout(LONG, place).await.unwrap().unwrap().map(drop).unwrap_err();
        assert_eq!((failure.kind, failure.sent), (FailureKind::Connect, Sent::Nothing));
        assert!(failure.detail.starts_with(expected), "{failure}");
    }
}

#[tokio::test]
async fn dropping_an_exchange_resets_its_stream() {
    let http2 = Http2::new(MINUTE);
    let (told, mut news) = tokio::sync::mpsc::unbounded_channel();
    let place = served(&http2, server::Builder::new(), move |_, mut reply: Reply| {
        let told = told.clone();
        tokio::spawn(async move {
            let reason = poll_fn(|context| reply.poll_reset(context)).await;
            told.send(reason.unwrap()).unwrap();
        });
    })
    .await;
    let mut exchange = ask(place, &get(), None);
    let waiting = timeout(Duration::from_millis(50), poll_fn(|it| exchange.poll_next(it))).await;
    assert!(waiting.is_err());
    drop(exchange);
    assert_eq!(timeout(LONG, news.recv()).await.unwrap(), Some(Reason::CANCEL));
    assert_eq!(http2.count(), (1, 1), "the connection stays");
}
