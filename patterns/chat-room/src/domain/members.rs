use std::collections::BTreeMap;

use super::names::{Person, PersonId};
use super::protocol::{Member, Role};

/// Who is here: everybody with a socket that has said hello.
#[derive(Default)]
pub struct Members(BTreeMap<PersonId, Here>);

struct Here {
    person: Person,
    sockets: usize,
}

impl Members {
    /// One more socket of `person`'s.
    pub fn enter(&mut self, person: &Person) {
        let here = self.0.entry(person.id.clone()).or_insert_with(|| Here { person: person.clone(), sockets: 0 });
        here.sockets += 1;
    }

    /// One socket less. True when it was the last.
    pub fn leave(&mut self, person: &PersonId) -> bool {
        let Some(here) = self.0.get_mut(person) else { return false };
        here.sockets -= 1;
        let is_gone = here.sockets == 0;
        if is_gone {
            self.0.remove(person);
        }
        is_gone
    }

    pub fn find(&self, person: &PersonId) -> Option<&Person> {
        self.0.get(person).map(|here| &here.person)
    }

    pub fn list(&self) -> impl Iterator<Item = &Person> {
        self.0.values().map(|here| &here.person)
    }
}

/// How others see somebody in a room of `owner`'s.
pub fn member<'a>(Person { id, name }: &'a Person, owner: &PersonId) -> Member<'a> {
    Member { id, name, role: if id == owner { Role::Owner } else { Role::Member } }
}

#[cfg(test)]
mod tests {
    use super::super::names::Name;
    use super::*;

    #[test]
    fn somebody_with_two_sockets_comes_with_the_first_and_goes_with_the_last() {
        let ann = Person {
            id: PersonId::try_from("ann".to_owned()).unwrap(),
            name: Name::try_from("Ann".to_owned()).unwrap(),
        };
        let mut members = Members::default();
        members.enter(&ann);
        members.enter(&ann);
        assert_eq!(members.find(&ann.id), Some(&ann));
        assert_eq!(members.list().collect::<Vec<_>>(), [&ann]);
        assert_eq!([members.leave(&ann.id), members.leave(&ann.id), members.leave(&ann.id)], [false, true, false]);
        assert_eq!(members.list().count(), 0);
    }
}
