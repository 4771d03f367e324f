//! Each rule of who hosts, as a script that needs no Rust to be read: who says what to whom,
//! and when. Everything takes 10 ms from one to another. W is the witness.

mod scene;

use paceline_framing::Control;
use paceline_migration::types::{Epoch, Frequency, MediaTime, SenderId, StreamId};
use paceline_migration::{Admission, Role, StageOrder, VoteRequest};
use scene::Room;

fn script(room: &Room) -> String {
    room.script.text()
}

#[test]
fn the_first_who_comes_is_made_host_by_the_witness() {
    let mut room = Room::new();
    room.join();
    room.run(500);
    insta::assert_snapshot!(script(&room));
}

#[test]
fn who_comes_is_given_a_vote_one_step_at_a_time() {
    let mut room = Room::new();
    for _ in 0..4 {
        room.join();
        room.run(1_000);
    }
    insta::assert_snapshot!(script(&room));
}

#[test]
fn the_host_dies_and_the_standby_is_elected() {
    let mut room = Room::of(5);
    room.kill(1);
    room.run(1_500);
    assert_eq!(room.agreed(), Some(2));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn the_standby_dies_with_the_host_and_the_next_one_is_elected() {
    let mut room = Room::of(5);
    room.kill(1);
    room.kill(2);
    room.run(2_000);
    assert_eq!(room.agreed(), Some(3));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn a_host_who_says_goodbye_is_followed_at_once() {
    let mut room = Room::of(3);
    room.leave(1);
    room.run(500);
    assert_eq!(room.agreed(), Some(2));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn a_handover_is_prepared_made_and_over() {
    let mut room = Room::of(3);
    assert!(room.hand_over(1));
    room.run(1_500);
    assert_eq!(room.agreed(), Some(2));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn a_handover_is_off_when_the_standby_is_not_ready() {
    let mut room = Room::of(3);
    room.nodes.get_mut(&2).unwrap().ready_after = None;
    assert!(room.hand_over(1));
    room.run(1_500);
    assert_eq!(room.agreed(), Some(1));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn a_handover_is_off_when_the_standby_lacks_somebody() {
    // The host finds that another is better placed; he does not have to go.
    let mut room = Room::of(3);
    room.nodes.get_mut(&2).unwrap().missing = vec![SenderId::new(3)];
    room.measure_better(2);
    room.run(14_000);
    assert_eq!(room.agreed(), Some(1));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn a_host_who_leaves_hands_over_whoever_is_missing() {
    let mut room = Room::of(3);
    room.nodes.get_mut(&2).unwrap().missing = vec![SenderId::new(3)];
    assert!(room.hand_over(1));
    room.run(700);
    assert_eq!(room.agreed(), Some(2));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn a_host_whom_no_majority_hears_stops_by_himself() {
    let mut room = Room::of(3);
    room.isolate(1);
    room.run(1_500);
    assert_eq!(room.may_send(1, StreamId::MIX_VIDEO), None);
    room.rejoin_net(1);
    room.run(1_000);
    assert_eq!(room.agreed(), Some(2));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn one_of_three_who_is_left_alone_waits_for_ever() {
    let mut room = Room::of(3);
    room.kill(1);
    room.kill(2);
    room.run(60_000);
    let machine = &room.nodes[&3].machine;
    assert_eq!((machine.role() == Role::Host, machine.stats().host_changes), (false, 0));
    assert_eq!(machine.epoch(), Epoch::new(1, 0));
}

#[test]
fn of_two_the_one_who_has_the_witness_takes_over() {
    let mut room = Room::of(2);
    room.kill(1);
    room.run(1_500);
    assert_eq!(room.agreed(), Some(2));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn of_two_who_do_not_hear_each_other_the_one_who_has_the_witness_hosts() {
    let mut room = Room::of(2);
    room.note("a and b do not hear each other, and a not the witness");
    room.cut(1, 2);
    room.cut_witness(1, true);
    room.run(1_500);
    assert_eq!(room.may_send(1, StreamId::MIX_VIDEO), None);
    assert_eq!(room.may_send(2, StreamId::MIX_VIDEO), Some(Epoch::new(2, 0)));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn two_without_each_other_and_the_witness_both_wait() {
    let mut room = Room::of(2);
    room.isolate(1);
    room.isolate(2);
    room.run(5_000);
    assert_eq!(room.may_send(1, StreamId::MIX_VIDEO), None);
    assert_eq!(room.may_send(2, StreamId::MIX_VIDEO), None);
    room.rejoin_net(1);
    room.rejoin_net(2);
    room.run(3_000);
    assert!(room.agreed().is_some());
}

#[test]
fn who_promised_a_later_epoch_to_one_who_failed_is_brought_back_by_the_host() {
    let mut room = Room::of(3);
    // c heard of a later election, of somebody whom nobody else voted for.
    room.note("c votes for b under 2.0, for a moment in which it does not hear a");
    room.cut_way(1, 3);
    room.run(600);
    let request = VoteRequest {
        epoch: Epoch::new(2, 0),
        candidate: SenderId::new(2),
        prevote: false,
        length: 450_000,
        roster: room.nodes[&3].machine.roster().unwrap().id,
    };
    let _ = room.forge(2, 3, Epoch::new(1, 0), Control::VoteRequest(request));
    room.heal(1, 3);
    room.run(1_000);
    assert_eq!(room.agreed(), Some(1));
    assert_eq!(room.roles()[0].2, Epoch::new(3, 0));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn a_vote_is_held_until_the_lease_has_run_out() {
    let mut room = Room::of(3);
    let request = VoteRequest {
        epoch: Epoch::new(2, 0),
        candidate: SenderId::new(3),
        prevote: false,
        length: 450_000,
        roster: room.nodes[&2].machine.roster().unwrap().id,
    };
    room.note("a is not heard by b any more; c, who doubts nothing, asks b for its vote");
    room.cut_way(1, 2);
    let _ = room.forge(3, 2, Epoch::new(1, 0), Control::VoteRequest(request));
    room.run(369);
    assert!(!script(&room).contains("yes, vote for"), "{}", script(&room));
    room.run(131);
    insta::assert_snapshot!(script(&room));
}

/// Who was named in a handover and never heard of it may ask for votes under a later epoch
/// while the host before him still sends what is his.
#[test]
fn who_was_named_is_not_voted_for_either_while_the_host_before_may_send() {
    let mut room = Room::of(3);
    assert!(room.hand_over(1));
    room.run(100);
    let machine = &room.nodes[&3].machine;
    assert_eq!((machine.epoch(), machine.host()), (Epoch::new(1, 1), Some(SenderId::new(2))));
    let request = VoteRequest {
        epoch: Epoch::new(2, 0),
        candidate: SenderId::new(2),
        prevote: false,
        length: 450_000,
        roster: machine.roster().unwrap().id,
    };
    let _ = room.forge(2, 3, Epoch::new(1, 1), Control::VoteRequest(request));
    room.run(20);
    assert!(!script(&room).contains("yes, vote for b"), "{}", script(&room));
    room.run(600);
    let roster = room.nodes[&3].machine.roster().unwrap().id;
    let request = VoteRequest { roster, ..request };
    let _ = room.forge(2, 3, Epoch::new(1, 1), Control::VoteRequest(request));
    room.run(50);
    assert!(script(&room).contains("yes, vote for b"), "{}", script(&room));
}

#[test]
fn who_has_an_older_roster_gets_no_vote() {
    let mut room = Room::of(3);
    room.note("nothing of a reaches c any more; d comes, so that there are newer rosters");
    room.cut_way(1, 3);
    room.join();
    room.run(250);
    room.kill(1);
    room.heal_nothing_of(1);
    room.run(3_000);
    assert_eq!(room.agreed(), Some(2));
    insta::assert_snapshot!(script(&room));
}

#[test]
fn who_comes_again_is_somebody_else() {
    let mut room = Room::of(3);
    room.kill(3);
    room.notice(3);
    room.run(300);
    let again = room.join();
    room.run(1_000);
    assert_eq!(room.agreed(), Some(1));
    let votes = &room.nodes[&1].machine.roster().unwrap().members;
    let votes = votes.iter().filter(|member| member.votes).map(|member| member.sender.get());
    assert_eq!(votes.collect::<Vec<_>>(), [1, 2, again]);
    insta::assert_snapshot!(script(&room));
}

#[test]
fn after_an_election_the_dead_lose_their_votes_and_the_next_host_can_die_too() {
    let mut room = Room::of(5);
    for dead in 1..=3 {
        room.kill(dead);
        room.run(4_000);
        assert_eq!(room.agreed(), Some(dead + 1), "{}", script(&room));
    }
    insta::assert_snapshot!(script(&room));
}

#[test]
fn a_new_roster_reaches_the_standby_before_the_others() {
    let mut room = Room::of(5);
    room.note("d and e are connected to a, b and c only; nothing of a reaches b any more");
    room.disconnect(4, 5);
    room.cut_way(1, 2);
    room.join();
    room.run(200);
    // Else those who have it would refuse b, and not all whom they need reach them.
    let id = |it: u32| room.nodes[&it].machine.roster().unwrap().id;
    assert!(id(2) < id(1), "there is no new one");
    assert!([3, 4, 5].into_iter().all(|it| id(it) <= id(2)));
    room.kill(1);
    room.heal_nothing_of(1);
    room.run(2_000);
    assert!(room.agreed().is_some(), "{:?}", room.roles());
    insta::assert_snapshot!(script(&room));
}

#[test]
fn the_window_of_a_handover_is_as_long_as_a_crossfade() {
    let mut room = Room::of(3);
    assert!(room.hand_over(1));
    room.run(100);
    let Some(StageOrder::Stop { at }) = room.nodes.get(&1).map(|it| it.stage.clone()) else {
        panic!("{}", script(&room));
    };
    let (video, audio) = (StreamId::MIX_VIDEO, StreamId::MIX_AUDIO);
    let ticks = |more: i64, hz: u64| {
        let frequency = if hz == 90 { Frequency::VIDEO } else { Frequency::AUDIO };
        let ticks = at.ticks().strict_add_signed(more * 90) * hz;
        MediaTime::new(ticks.div_ceil(90), frequency)
    };
    let mut admits = |stream, time| {
        let (from, epoch) = (SenderId::new(1), Epoch::new(1, 0));
        room.with_machine(3, |it, now| it.admit(now, from, epoch, stream, time))
    };
    assert_eq!(admits(video, ticks(-1, 90)), Admission::Accepted);
    assert_eq!(admits(video, ticks(0, 90)), Admission::Stale);
    assert_eq!(admits(audio, ticks(39, 48)), Admission::Accepted);
    assert_eq!(admits(audio, ticks(40, 48)), Admission::Stale);
    room.run(1_000);
    let early = ticks(-1, 90);
    let (from, epoch) = (SenderId::new(1), Epoch::new(1, 0));
    let admission = room.with_machine(3, |it, now| it.admit(now, from, epoch, video, early));
    assert_eq!(admission, Admission::Stale);
    assert_eq!(room.nodes[&3].machine.stats().stale, 3);
}
