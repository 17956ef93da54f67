use std::collections::BTreeMap;

use super::names::{Name, Person, PersonId};
use super::protocol::{Member, Role};

/// Who is here: everybody with a socket that has said hello.
#[derive(Default)]
pub struct Members(BTreeMap<PersonId, Here>);

struct Here {
    name: Name,
    sockets: usize,
}

impl Members {
    /// One more socket of `person`'s. True when it is the first: then others are told.
    pub fn enter(&mut self, person: &Person) -> bool {
        let here = self.0.entry(person.id.clone()).or_insert_with(|| Here { name: person.name.clone(), sockets: 0 });
        here.sockets += 1;
        here.sockets == 1
    }

    /// One socket less. True when it was the last.
    pub fn leave(&mut self, person: &PersonId) -> bool {
        let Some(here) = self.0.get_mut(person) else { return false };
        here.sockets = here.sockets.saturating_sub(1);
        let is_gone = here.sockets == 0;
        if is_gone {
            self.0.remove(person);
        }
        is_gone
    }

    pub fn find(&self, person: &PersonId) -> Option<Person> {
        self.0.get(person).map(|here| Person { id: person.clone(), name: here.name.clone() })
    }

    /// For `welcome`.
    pub fn list(&self, owner: &PersonId) -> Vec<Member<'_>> {
        self.0.iter().map(|(id, here)| member(id, &here.name, owner)).collect()
    }
}

/// How others see somebody in a room of `owner`'s.
pub fn member<'a>(id: &'a PersonId, name: &'a Name, owner: &PersonId) -> Member<'a> {
    Member { id, name, role: if id == owner { Role::Owner } else { Role::Member } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_with_two_sockets_comes_with_the_first_and_goes_with_the_last() {
        let ann = Person {
            id: PersonId::try_from("ann".to_owned()).unwrap(),
            name: Name::try_from("Ann".to_owned()).unwrap(),
        };
        let mut members = Members::default();
        assert_eq!([members.enter(&ann), members.enter(&ann)], [true, false]);
        assert_eq!(members.find(&ann.id), Some(ann.clone()));
        assert_eq!(members.list(&ann.id), [Member { id: &ann.id, name: &ann.name, role: Role::Owner }]);
        assert_eq!([members.leave(&ann.id), members.leave(&ann.id), members.leave(&ann.id)], [false, true, false]);
        assert!(members.list(&ann.id).is_empty());
    }
}
