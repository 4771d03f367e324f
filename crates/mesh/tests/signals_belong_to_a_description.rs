//! Which candidates go to the engine, and when, and which offers and answers do not.

use paceline_mesh::types::{ConnectionOp, Signal};
use paceline_mesh::{
    Negotiator, NegotiatorConfig, NegotiatorOutput, SignalVerdict, SignalingState,
};

fn sdp(session: u64, ufrag: &str) -> String {
    format!("v=0\r\no=- {session} 1 IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\n")
}

fn offer(session: u64, ufrag: &str) -> Signal {
    Signal::Offer { sdp: sdp(session, ufrag) }
}

fn answer(session: u64, ufrag: &str) -> Signal {
    Signal::Answer { sdp: sdp(session, ufrag) }
}

fn candidate(n: usize, ufrag: &str) -> Signal {
    let (candidate, mid) = (format!("candidate:{n}"), "0".to_owned());
    Signal::Candidate { candidate, mid, mline_index: 0, ufrag: ufrag.to_owned() }
}

fn negotiator(polite: bool) -> Negotiator {
    Negotiator::new(polite, NegotiatorConfig::default())
}

fn outputs(negotiator: &mut Negotiator) -> Vec<NegotiatorOutput> {
    std::iter::from_fn(|| negotiator.poll_output()).collect()
}

fn remote(signal: Signal) -> NegotiatorOutput {
    NegotiatorOutput::Op(ConnectionOp::Remote(signal))
}

fn op(op: ConnectionOp) -> NegotiatorOutput {
    NegotiatorOutput::Op(op)
}

/// One that called and was answered: ours is session 1, the other end's 2.
fn called(polite: bool) -> Negotiator {
    let mut negotiator = negotiator(polite);
    negotiator.call();
    negotiator.handle_local(offer(1, "mine"));
    assert_eq!(negotiator.handle_remote(answer(2, "his")), SignalVerdict::Applied);
    let _ = outputs(&mut negotiator);
    negotiator
}

#[test]
fn candidates_that_come_first_follow_their_description() {
    let mut negotiator = negotiator(false);
    for (n, ufrag) in [(1, "a"), (2, "b"), (3, ""), (4, "a")] {
        assert_eq!(negotiator.handle_remote(candidate(n, ufrag)), SignalVerdict::Kept);
    }
    assert_eq!(negotiator.handle_remote(candidate(1, "a")), SignalVerdict::Duplicate);
    assert_eq!(negotiator.handle_remote(offer(2, "a")), SignalVerdict::Begun);
    assert_eq!(
        outputs(&mut negotiator),
        [
            remote(offer(2, "a")),
            remote(candidate(1, "a")),
            remote(candidate(3, "")),
            remote(candidate(4, "a")),
        ]
    );
    negotiator.handle_local(answer(1, "mine"));
    let _ = outputs(&mut negotiator);
    // And that of the restart goes with the restart.
    assert_eq!(negotiator.handle_remote(offer(2, "b")), SignalVerdict::Applied);
    assert_eq!(outputs(&mut negotiator), [remote(offer(2, "b")), remote(candidate(2, "b"))]);
}

#[test]
fn candidates_of_an_earlier_generation_are_dropped() {
    let mut negotiator = called(false);
    assert_eq!(negotiator.handle_remote(candidate(1, "his")), SignalVerdict::Applied);
    assert_eq!(negotiator.handle_remote(candidate(1, "his")), SignalVerdict::Duplicate);
    assert_eq!(negotiator.handle_remote(offer(2, "his again")), SignalVerdict::Applied);
    negotiator.handle_local(answer(1, "mine again"));
    let _ = outputs(&mut negotiator);
    assert_eq!(negotiator.handle_remote(candidate(2, "his")), SignalVerdict::Stale);
    assert_eq!(negotiator.handle_remote(candidate(2, "his again")), SignalVerdict::Applied);
    negotiator.close();
    let _ = outputs(&mut negotiator);
    assert_eq!(negotiator.handle_remote(candidate(3, "his again")), SignalVerdict::Stale);
    assert_eq!(negotiator.handle_remote(candidate(3, "")), SignalVerdict::Ignored);
    assert_eq!(outputs(&mut negotiator), []);
}

/// The extension that browsers write into the text is as good as the field.
#[test]
fn a_candidate_may_name_its_description_in_its_text() {
    let mut negotiator = called(false);
    let named = |ufrag: &str| Signal::Candidate {
        candidate: format!("candidate:1 1 udp 1 192.0.2.1 9 typ host ufrag {ufrag}"),
        mid: "0".to_owned(),
        mline_index: 0,
        ufrag: String::new(),
    };
    assert_eq!(negotiator.handle_remote(named("his")), SignalVerdict::Applied);
    assert_eq!(negotiator.handle_remote(named("next")), SignalVerdict::Kept);
}

#[test]
fn an_ignored_offer_takes_its_candidates_with_it() {
    for early in [false, true] {
        let mut negotiator = called(false);
        assert!(negotiator.restart());
        negotiator.handle_local(offer(1, "mine again"));
        let _ = outputs(&mut negotiator);
        if early {
            assert_eq!(negotiator.handle_remote(candidate(1, "lost")), SignalVerdict::Kept);
        }
        assert_eq!(negotiator.handle_remote(offer(2, "lost")), SignalVerdict::Ignored);
        assert_eq!(negotiator.handle_remote(candidate(2, "lost")), SignalVerdict::Ignored);
        assert_eq!(negotiator.handle_remote(candidate(3, "")), SignalVerdict::Ignored);
        assert_eq!(negotiator.handle_remote(candidate(4, "his")), SignalVerdict::Applied);
        assert_eq!(outputs(&mut negotiator), [remote(candidate(4, "his"))]);
        assert_eq!(negotiator.handle_remote(answer(2, "his again")), SignalVerdict::Applied);
        // After the next description what names none is heard again.
        assert_eq!(negotiator.handle_remote(candidate(5, "")), SignalVerdict::Applied);
        assert_eq!(
            outputs(&mut negotiator),
            [remote(answer(2, "his again")), remote(candidate(5, ""))]
        );
    }
}

#[test]
fn the_polite_end_takes_its_offer_back_and_tells_nothing_of_it() {
    let mut negotiator = called(true);
    assert!(negotiator.restart());
    assert_eq!(outputs(&mut negotiator), [op(ConnectionOp::RestartIce)]);
    assert_eq!(negotiator.handle_remote(offer(2, "his again")), SignalVerdict::Applied);
    assert_eq!(
        outputs(&mut negotiator),
        [op(ConnectionOp::Rollback), remote(offer(2, "his again"))]
    );
    // The engine made it before it took it back.
    negotiator.handle_local(offer(1, "withdrawn"));
    negotiator.handle_local(candidate(1, "withdrawn"));
    negotiator.handle_local(candidate(2, ""));
    assert_eq!(outputs(&mut negotiator), []);
    negotiator.handle_local(answer(1, "mine again"));
    negotiator.handle_local(candidate(3, "withdrawn"));
    negotiator.handle_local(candidate(4, ""));
    assert_eq!(
        outputs(&mut negotiator),
        [
            NegotiatorOutput::Signal(answer(1, "mine again")),
            NegotiatorOutput::Signal(candidate(4, "")),
        ]
    );
    assert_eq!(negotiator.signaling(), SignalingState::Stable);
    assert_eq!(negotiator.generation(), 2);
}

#[test]
fn when_both_call_the_polite_end_closes_its_own() {
    let mut polite = negotiator(true);
    polite.call();
    polite.handle_local(offer(1, "mine"));
    let _ = outputs(&mut polite);
    assert_eq!(polite.handle_remote(offer(2, "his")), SignalVerdict::Begun);
    assert_eq!(outputs(&mut polite), [op(ConnectionOp::Close), remote(offer(2, "his"))]);
    let mut impolite = negotiator(false);
    impolite.call();
    let _ = outputs(&mut impolite);
    assert_eq!(impolite.handle_remote(offer(1, "mine")), SignalVerdict::Ignored);
    assert_eq!(outputs(&mut impolite), []);
}

/// Who calls anew has no connection any more that we could restart.
#[test]
fn a_new_call_beats_our_restart_and_a_restart_of_what_is_over_is_nothing() {
    for polite in [false, true] {
        let mut negotiator = called(polite);
        assert!(negotiator.restart());
        negotiator.handle_local(offer(1, "mine again"));
        let _ = outputs(&mut negotiator);
        assert_eq!(negotiator.handle_remote(offer(3, "anew")), SignalVerdict::Begun);
        assert_eq!(outputs(&mut negotiator), [op(ConnectionOp::Close), remote(offer(3, "anew"))]);
        assert_eq!(negotiator.handle_remote(offer(2, "old")), SignalVerdict::Stale);
        negotiator.call();
        let _ = outputs(&mut negotiator);
        assert_eq!(negotiator.handle_remote(offer(3, "old too")), SignalVerdict::Stale);
        assert_eq!(outputs(&mut negotiator), []);
    }
}

/// Of two restarts of the other end, of which it took the first back, only the second is
/// answered: an answer does not say what it is for.
#[test]
fn an_offer_that_was_replaced_before_its_answer_is_not_answered() {
    let mut negotiator = called(false);
    assert_eq!(negotiator.handle_remote(offer(2, "first")), SignalVerdict::Applied);
    assert_eq!(negotiator.handle_remote(offer(2, "second")), SignalVerdict::Kept);
    assert_eq!(negotiator.handle_remote(candidate(1, "")), SignalVerdict::Kept);
    assert!(!negotiator.restart(), "it is being done");
    assert_eq!(outputs(&mut negotiator), [remote(offer(2, "first"))]);
    negotiator.handle_local(answer(1, "to the first"));
    assert_eq!(outputs(&mut negotiator), [remote(offer(2, "second")), remote(candidate(1, ""))]);
    negotiator.handle_local(candidate(9, "to the first"));
    negotiator.handle_local(answer(1, "to the second"));
    let told = NegotiatorOutput::Signal(answer(1, "to the second"));
    assert_eq!(outputs(&mut negotiator), [told]);
}

#[test]
fn answers_that_fit_no_offer_are_dropped_with_what_belongs_to_them() {
    let mut idle = negotiator(false);
    assert_eq!(idle.handle_remote(answer(2, "x")), SignalVerdict::Late);
    let mut making = negotiator(false);
    making.call();
    assert_eq!(making.handle_remote(answer(2, "x")), SignalVerdict::Late);
    let mut stable = called(false);
    let _ = outputs(&mut making);
    for answer in [answer(2, "x"), answer(5, "x")] {
        assert_eq!(stable.handle_remote(answer), SignalVerdict::Late);
    }
    assert!(stable.restart());
    stable.handle_local(offer(1, "mine again"));
    let _ = outputs(&mut stable);
    // Of another connection.
    assert_eq!(stable.handle_remote(answer(5, "x")), SignalVerdict::Late);
    for negotiator in [&mut idle, &mut making, &mut stable] {
        assert_eq!(negotiator.handle_remote(candidate(1, "x")), SignalVerdict::Ignored);
        assert_eq!(outputs(negotiator), []);
    }
}

/// Who answered an offer that was taken back has gone on without us.
#[test]
fn an_answer_to_an_offer_that_was_taken_back_is_doubtful_once() {
    let mut negotiator = called(false);
    assert!(negotiator.restart());
    assert!(!negotiator.rollback(), "the other end knows nothing of it");
    negotiator.handle_local(offer(1, "mine again"));
    assert!(negotiator.rollback() && !negotiator.rollback());
    let _ = outputs(&mut negotiator);
    assert_eq!(negotiator.handle_remote(answer(2, "his again")), SignalVerdict::Doubtful);
    assert_eq!(negotiator.handle_remote(answer(2, "his again")), SignalVerdict::Late);
    assert_eq!(outputs(&mut negotiator), []);
}

#[test]
fn so_many_candidates_are_held_and_no_more() {
    let config = NegotiatorConfig::default().max_candidates(3).max_candidate_bytes(20);
    let mut negotiator = Negotiator::new(false, config);
    for n in 0..5 {
        let verdict = negotiator.handle_remote(candidate(n, "a"));
        let expected = if n < 3 { SignalVerdict::Kept } else { SignalVerdict::TooMuch };
        assert_eq!(verdict, expected);
    }
    let long = candidate(10_000_000, "a");
    assert_eq!(negotiator.handle_remote(long), SignalVerdict::TooMuch);
    assert_eq!(negotiator.handle_remote(offer(2, "a")), SignalVerdict::Begun);
    assert_eq!(outputs(&mut negotiator).len(), 4);
    assert_eq!(negotiator.handle_remote(candidate(7, "a")), SignalVerdict::TooMuch);
    // A restart has candidates of its own.
    negotiator.handle_local(answer(1, "mine"));
    assert_eq!(negotiator.handle_remote(offer(2, "b")), SignalVerdict::Applied);
    assert_eq!(negotiator.handle_remote(candidate(7, "b")), SignalVerdict::Applied);
}

#[test]
fn what_an_engine_says_out_of_turn_is_told_to_nobody() {
    let mut negotiator = negotiator(false);
    negotiator.handle_local(offer(1, "mine"));
    negotiator.call();
    negotiator.handle_local(answer(1, "mine"));
    assert_eq!(outputs(&mut negotiator), [op(ConnectionOp::Call)]);
    assert!(!negotiator.restart() && !negotiator.rollback(), "a call is neither");
    negotiator.handle_local(offer(1, "mine"));
    negotiator.handle_local(offer(1, "mine"));
    assert_eq!(outputs(&mut negotiator), [NegotiatorOutput::Signal(offer(1, "mine"))]);
}
