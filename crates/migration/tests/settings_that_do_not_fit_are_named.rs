//! Whoever sets the machine wrong is told which setting, and what it has to be.

#![allow(clippy::disallowed_methods, reason = "a test needs an epoch")]

use std::time::{Duration, Instant};

use paceline_migration::types::{Epoch, PeerId, SenderId};
use paceline_migration::{Identity, Migration, MigrationConfig, MigrationConfigError, Welcome};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn each_bound_holds_at_its_edge() {
    use MigrationConfigError as Error;
    let with = MigrationConfig::default;
    let cases = [
        (with(), Ok(())),
        // Four renewals of 80 ms, and 10 ms.
        (with().lease(ms(330)), Err(Error::LeaseTooShort)),
        (with().lease(ms(331)), Ok(())),
        (with().margin(ms(225)).renewal(ms(20)), Err(Error::MarginTooLong)),
        (with().margin(ms(224)).renewal(ms(20)), Ok(())),
        (with().suspicion(ms(450)), Err(Error::SuspicionTooLong)),
        (with().suspicion(ms(449)), Ok(())),
        (with().suspicion(ms(79)), Err(Error::SuspicionTooShort)),
        (with().suspicion(ms(80)), Ok(())),
        (with().vote_hold(ms(10)), Err(Error::VoteHoldTooShort)),
        (with().vote_hold(ms(11)), Ok(())),
        (with().vote_hold(ms(5_001)), Err(Error::TooLong("vote_hold"))),
        (with().vote_hold(ms(5_000)), Ok(())),
        (with().lease(ms(5_001)), Err(Error::TooLong("lease"))),
        (with().lease(ms(5_000)), Ok(())),
        (with().renewal(Duration::MAX), Err(Error::TooLong("renewal"))),
        (with().renewal(ms(0)), Err(Error::Zero("renewal"))),
        (with().stagger(ms(0)), Err(Error::Zero("stagger"))),
        (with().successors(0), Err(Error::NoSuccessors)),
        (with().successors(1), Ok(())),
        (with().max_members(1), Err(Error::TooFewMembers)),
        (with().max_members(2), Ok(())),
    ];
    for (config, result) in cases {
        assert_eq!(config.validate(), result, "{config:?}");
    }
}

#[test]
fn the_words_name_the_setting_and_the_bound() {
    let error = MigrationConfig::default().retry(ms(0)).validate().unwrap_err();
    assert_eq!(error.to_string(), "retry has to be more than zero");
    let error = MigrationConfig::default().lease(ms(300)).validate().unwrap_err();
    assert_eq!(error.to_string(), "lease has to be longer than four times renewal and margin");
}

#[test]
#[should_panic(expected = "suspicion has to be less than lease")]
fn no_machine_is_made_of_them() {
    let (sender, peer) = (SenderId::new(1), PeerId::from_bytes([1; 16]));
    let identity = Identity { session: [7; 16], sender, peer, may_host: true };
    let welcome = Welcome { epoch: Epoch::new(1, 0), host: Some(sender), genesis: true };
    let config = MigrationConfig::default().suspicion(ms(500));
    let _ = Migration::new(Instant::now(), identity, welcome, config, 1);
}
