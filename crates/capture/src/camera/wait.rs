//! Waiting for a camera, or for nobody to want it.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::driver::Ready;

/// Waits until `device` can be read or something is wrong with it, `end` can be read, or
/// `timeout` has passed. A signal begins the time anew.
pub(super) fn wait(
    device: BorrowedFd<'_>,
    end: BorrowedFd<'_>,
    timeout: Duration,
) -> Result<Ready, Errno> {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    let mut both = [
        PollFd::from_borrowed_fd(device, PollFlags::IN),
        PollFd::from_borrowed_fd(end, PollFlags::IN),
    ];
    while let Err(errno) = poll(&mut both, Some(&timeout)) {
        if errno != Errno::INTR {
            return Err(errno);
        }
    }
    Ok(verdict(both[0].revents(), both[1].revents()))
}

fn verdict(device: PollFlags, end: PollFlags) -> Ready {
    if !end.is_empty() {
        Ready::End
    } else if device.intersects(PollFlags::HUP | PollFlags::NVAL) {
        Ready::Hangup
    } else if device.contains(PollFlags::ERR) {
        Ready::Error
    } else if device.contains(PollFlags::IN) {
        Ready::Filled
    } else {
        Ready::Silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_it_comes_first_and_a_camera_that_is_gone_before_its_last_picture() {
        let all = PollFlags::IN | PollFlags::ERR | PollFlags::HUP;
        let none = PollFlags::empty();
        assert_eq!(verdict(all, PollFlags::IN), Ready::End);
        assert_eq!(verdict(all, none), Ready::Hangup);
        assert_eq!(verdict(PollFlags::IN | PollFlags::ERR, none), Ready::Error);
        assert_eq!(verdict(PollFlags::IN, none), Ready::Filled);
        assert_eq!(verdict(none, none), Ready::Silent);
    }
}
