//! How fast both sides go, and what happens while nothing does.

use super::*;

#[tokio::test]
async fn a_target_that_reads_slowly_slows_the_client_down() {
    let http2 = Http2::new(MINUTE);
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = bodies.clone();
    let keep = move |request: Request<RecvStream>, reply: Reply| {
        kept.lock().unwrap().push((request.into_body(), reply));
    };
    let place = served(&http2, server::Builder::new(), keep).await;
    let (feed, fed) = Feed::new();
    let mut exchange = ask(place, &get(), Some(fed));
    let part = Bytes::from(vec![0; 16 << 10]);
    let mut fed = 0;
    let sending = async {
        // Until the window is used up, nothing but the machine makes it wait.
        let patience = |fed| if fed < 65_535 { LONG } else { Duration::from_millis(200) };
        while timeout(patience(fed), feed.ready()).await.is_ok() {
            feed.send(part.clone()).unwrap();
            fed += part.len();
        }
    };
    tokio::select! {
        () = sending => {}
        event = next(&mut exchange) => panic!("{event:?}"),
    }
    // The window of the stream, and parts on their way.
    assert!((65_535..=65_535 + 3 * part.len()).contains(&fed), "{fed}");
}

#[tokio::test]
async fn a_client_that_reads_slowly_slows_the_target_down() {
    let http2 = Http2::new(MINUTE);
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let place = served(&http2, server::Builder::new(), move |_, mut reply: Reply| {
        let counted = counted.clone();
        tokio::spawn(async move {
            let mut stream = reply.send_response(ok(), false).unwrap();
            for _ in 0..64 {
                let mut part = Bytes::from(vec![0; 64 << 10]);
                while !part.is_empty() {
                    stream.reserve_capacity(part.len());
                    let Some(Ok(room)) = poll_fn(|context| stream.poll_capacity(context)).await
                    else {
                        return;
                    };
                    counted.fetch_add(room, Ordering::Relaxed);
                    stream.send_data(part.split_to(room), false).unwrap();
                }
            }
            stream.send_data(Bytes::new(), true).unwrap();
        });
    })
    .await;
    let mut exchange = ask(place, &get(), None);
    assert_eq!(status(&mut exchange).await, 200);
    let window = async {
        while sent.load(Ordering::Relaxed) < 256 << 10 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, window).await.expect("a whole window");
    sleep(Duration::from_millis(200)).await;
    assert_eq!(sent.load(Ordering::Relaxed), 256 << 10, "nothing but the window");
    assert_eq!(rest(&mut exchange).await, 64 * (64 << 10));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    for (idle, kept) in [(MINUTE, true), (Duration::ZERO, false)] {
        let http2 = Http2::new(idle);
        let (place, mut peer) = scripted(&http2).await;
        let mut exchange = ask(place, &get(), None);
        hear(&mut peer, 1).await;
        peer.write_all(&head(1, true)).await.unwrap();
        assert_eq!(status(&mut exchange).await, 200);
        // A long response is not idle.
        sleep(Duration::from_secs(5)).await;
        drop(exchange);
        assert_eq!(http2.count().0, usize::from(kept));
        let began = Instant::now();
        let mut all = Vec::new();
        peer.read_to_end(&mut all).await.unwrap();
        let (least, most) = if kept { (60, 71) } else { (0, 0) };
        assert!((least..=most).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        assert_eq!(http2.count(), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_without_a_word_is_noticed() {
    let http2 = Http2::new(MINUTE);
    let (place, _peer) = scripted(&http2).await;
    let mut exchange = ask(place, &get(), None);
    let began = Instant::now();
    let Event::Failed(gone) = poll_fn(|context| exchange.poll_next(context)).await else {
        panic!("it answered")
    };
    assert!((20..=31).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(gone.detail, "it did not answer a ping within 10s");
    assert_eq!((gone.kind, gone.sent), (FailureKind::Reset, Sent::Maybe));
}

/// golang/go#70575: servers of gRPC close a connection on which they get more than two pings within five minutes of silence.
#[tokio::test(start_paused = true)]
async fn a_silent_target_is_asked_rarely() {
    let http2 = Http2::new(MINUTE);
    let (place, peer) = place_and_peer(&http2).await;
    let (mut reader, mut writer) = tokio::io::split(peer);
    writer.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    let mut exchange = ask(place.await.unwrap().unwrap(), &get(), None);
    let pings = Arc::new(AtomicUsize::new(0));
    let counted = pings.clone();
    tokio::spawn(async move {
        reader.read_exact(&mut [0; 24]).await.unwrap();
        loop {
            let mut head = [0; 9];
            reader.read_exact(&mut head).await.unwrap();
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            reader.read_exact(&mut payload).await.unwrap();
            if head[3] == 6 && head[4] == 0 {
                counted.fetch_add(1, Ordering::Relaxed);
                writer.write_all(&frame(6, 1, 0, &payload)).await.unwrap();
            }
        }
    });
    let silent = timeout(Duration::from_secs(3000), poll_fn(|it| exchange.poll_next(it))).await;
    assert!(silent.is_err(), "{silent:?}");
    let pings = pings.load(Ordering::Relaxed);
    assert!((8..=10).contains(&pings), "{pings} in 50 minutes");
}
