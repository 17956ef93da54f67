use std::collections::HashMap;

use super::bucket::{Bucket, Rate};
use super::moment::Moment;
use super::names::PersonId;

/// Commands of a person.
pub const COMMANDS: Rate = Rate { burst: 40.0, per_second: 5.0 };
/// Frames of a person, whatever is in them: far above what a client has reason to send.
pub const FRAMES: Rate = Rate { burst: 400.0, per_second: 50.0 };
/// Answers to a person's `hello` with more than a hundred events: each may be all that is retained.
pub const LONG_RESUMES: Rate = Rate { burst: 5.0, per_second: 0.6 };
/// Milliseconds between two hints that somebody is typing.
const TYPING: u64 = 2000;
/// From so many people on, those who have their whole quota again are forgotten.
const MANY: usize = 1000;

/// How much everybody may still do.
///
/// Kept in memory alone: an object sleeps after ten seconds without a frame at the earliest, and all buckets are full again by
/// then ([`Rate::refills_in`], tested). They are a person's and not a socket's, so a new connection is no new quota.
#[derive(Default)]
pub struct Quotas(HashMap<PersonId, Quota>);

struct Quota {
    commands: Bucket,
    frames: Bucket,
    long_resumes: Bucket,
    typed: Option<Moment>,
    last: Moment,
}

impl Quotas {
    /// Whether one more frame may be looked at.
    pub fn frame(&mut self, person: &PersonId, now: Moment) -> bool {
        self.of(person, now).frames.take(&FRAMES, now).is_ok()
    }

    /// Whether one more command may be done.
    ///
    /// # Errors
    /// Milliseconds after which it may.
    pub fn command(&mut self, person: &PersonId, now: Moment) -> Result<(), u64> {
        self.of(person, now).commands.take(&COMMANDS, now)
    }

    /// Whether one more `hello` may be answered at length.
    ///
    /// # Errors
    /// Milliseconds after which it may.
    pub fn long_resume(&mut self, person: &PersonId, now: Moment) -> Result<(), u64> {
        self.of(person, now).long_resumes.take(&LONG_RESUMES, now)
    }

    /// Whether others are told that they type.
    pub fn typing(&mut self, person: &PersonId, now: Moment) -> bool {
        let typed = &mut self.of(person, now).typed;
        let is_due = typed.is_none_or(|before| now.since(before) >= TYPING);
        if is_due {
            *typed = Some(now);
        }
        is_due
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds")]
    fn of(&mut self, person: &PersonId, now: Moment) -> &mut Quota {
        if self.0.len() >= MANY && !self.0.contains_key(person) {
            let full = COMMANDS.refills_in().max(FRAMES.refills_in()).max(LONG_RESUMES.refills_in()) as u64;
            self.0.retain(|_, quota| now.since(quota.last) < full);
        }
        let quota = self.0.entry(person.clone()).or_insert_with(|| Quota {
            commands: Bucket::full(&COMMANDS, now),
            frames: Bucket::full(&FRAMES, now),
            long_resumes: Bucket::full(&LONG_RESUMES, now),
            typed: None,
            last: now,
        });
        quota.last = now;
        quota
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(n: usize) -> PersonId {
        PersonId::try_from(format!("p{n}")).unwrap()
    }

    #[test]
    fn buckets_are_full_again_before_an_object_can_sleep() {
        assert!([COMMANDS, FRAMES, LONG_RESUMES].iter().all(|rate| rate.refills_in() < 10_000.0));
    }

    #[test]
    fn a_person_has_one_quota_and_others_have_their_own() {
        let (mut quotas, now) = (Quotas::default(), Moment::from_millis(0));
        assert!((0..40).all(|_| quotas.command(&person(1), now).is_ok()));
        assert_eq!(quotas.command(&person(1), now), Err(200));
        assert!(quotas.command(&person(2), now).is_ok());
        assert!((0..400).all(|_| quotas.frame(&person(1), now)));
        assert!(!quotas.frame(&person(1), now));
    }

    #[test]
    fn typing_is_told_every_two_seconds_at_most() {
        let mut quotas = Quotas::default();
        let told = [0, 1999, 2000, 2001].map(|at| quotas.typing(&person(1), Moment::from_millis(at)));
        assert_eq!(told, [true, false, true, false]);
    }

    #[test]
    fn who_has_used_nothing_for_a_while_is_forgotten_when_there_are_many() {
        let mut quotas = Quotas::default();
        for n in 0..MANY {
            quotas.frame(&person(n), Moment::from_millis(0));
        }
        quotas.frame(&person(0), Moment::from_millis(7000));
        quotas.frame(&person(MANY), Moment::from_millis(9000));
        assert_eq!(quotas.0.len(), 2);
    }
}
