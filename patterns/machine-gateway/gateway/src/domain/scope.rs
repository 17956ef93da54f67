use std::collections::BTreeSet;

/// What a route asks for and a principal may have; `orders:read` in the policy document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    OrdersRead,
    OrdersWrite,
    ReportsRead,
    ReportsWrite,
}

/// What a principal may do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scope {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrdersRead => "orders:read",
            Self::OrdersWrite => "orders:write",
            Self::ReportsRead => "reports:read",
            Self::ReportsWrite => "reports:write",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::OrdersRead, Self::OrdersWrite, Self::ReportsRead, Self::ReportsWrite]
            .into_iter()
            .find(|scope| scope.as_str() == text)
    }
}

impl Scopes {
    /// The scopes that are known here, and the names of the others: those grant nothing, and a later version may know them.
    pub fn read(names: &[String]) -> (Self, Vec<&str>) {
        let mut known = BTreeSet::new();
        let mut unknown = Vec::new();
        for name in names {
            match Scope::parse(name) {
                Some(scope) => drop(known.insert(scope)),
                None => unknown.push(name.as_str()),
            }
        }
        (Self(known), unknown)
    }

    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }
}
