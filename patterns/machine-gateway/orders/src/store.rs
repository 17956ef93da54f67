//! The column `caller` holds the principal. The first version called it that, and while two versions run, both must find
//! their columns.

use contract::{NewOrder, Order, OrderId, Page, PrincipalId, Retention};
use edge_http::utf8;
use js_sys::JSON;
use wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::worker_sys::types::D1Result;
use worker::{D1Database, D1PreparedStatement, D1Type, Result};

use crate::cursor::Cursor;

/// How many orders one call of [`purge`] deletes at most: so many are deleted in milliseconds, and D1, which does one thing
/// at a time, lets others in between.
pub const PURGED_AT_ONCE: u32 = 500;

/// Stores an order under a fresh `id`. D1 does not retry a write, and neither do we: it may have been committed.
pub async fn insert(db: &D1Database, id: &str, principal: &PrincipalId, order: &NewOrder) -> Result<Order> {
    const SQL: &str = "
        INSERT INTO orders (id, caller, sku, quantity, note) VALUES (?1, ?2, ?3, ?4, ?5)
        RETURNING id, sku, quantity, note, created_at";
    let values = [
        D1Type::Text(id),
        D1Type::Text(principal.as_str()),
        D1Type::Text(order.sku.as_str()),
        D1Type::Real(order.quantity.pieces().into()),
        order.note.as_ref().map_or(D1Type::Null, |note| D1Type::Text(note.as_str())),
    ];
    let stored = rows(&db.prepare(SQL).bind_refs(&values)?).await?.pop();
    stored.ok_or_else(|| worker::Error::RustError("an inserted order was not returned".into()))
}

/// The principal's order of this id; another one's is as if it were not there.
pub async fn find(db: &D1Database, principal: &PrincipalId, id: &OrderId) -> Result<Option<Order>> {
    const SQL: &str = "SELECT id, sku, quantity, note, created_at FROM orders WHERE id = ?1 AND caller = ?2";
    let values = [D1Type::Text(id.as_str()), D1Type::Text(principal.as_str())];
    Ok(rows(&db.prepare(SQL).bind_refs(&values)?).await?.pop())
}

/// The principal's orders, newest first, from behind `cursor` or the newest on. (By the index; those of the same millisecond
/// in the order of their ids.)
pub async fn page(db: &D1Database, principal: &PrincipalId, limit: u32, cursor: Option<&Cursor>) -> Result<Page> {
    const FIRST: &str = "
        SELECT id, sku, quantity, note, created_at FROM orders
        WHERE caller = ?1 ORDER BY created_at DESC, id LIMIT ?2";
    // The first condition alone lets SQLite begin at the right place of the index: a single OR would have it read everything
    // before, too.
    const NEXT: &str = "
        SELECT id, sku, quantity, note, created_at FROM orders
        WHERE caller = ?1 AND created_at <= ?3 AND (created_at < ?3 OR id > ?4) ORDER BY created_at DESC, id LIMIT ?2";
    let one_more = D1Type::Real((limit + 1).into()); // which says whether there is another page
    let principal = D1Type::Text(principal.as_str());
    let statement = match cursor {
        None => db.prepare(FIRST).bind_refs(&[principal, one_more])?,
        Some(Cursor { created_at, id }) => {
            let values = [principal, one_more, D1Type::Text(created_at), D1Type::Text(id.as_str())];
            db.prepare(NEXT).bind_refs(&values)?
        }
    };
    let mut orders = rows(&statement).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_last = orders.len() <= limit;
    orders.truncate(limit);
    let next_cursor = orders.last().filter(|_| !is_last).map(Cursor::behind);
    Ok(Page { orders, next_cursor })
}

/// Deletes the oldest orders that are past their retention, [`PURGED_AT_ONCE`] at most, and says how many.
pub async fn purge(db: &D1Database, retention: Retention) -> Result<u32> {
    // By the clock that stamped them.
    const SQL: &str = "
        DELETE FROM orders WHERE id IN (
          SELECT id FROM orders
          WHERE created_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?1)
          ORDER BY created_at LIMIT ?2)";
    let ago = format!("-{} days", retention.days());
    let values = [D1Type::Text(&ago), D1Type::Real(PURGED_AT_ONCE.into())];
    let done = db.prepare(SQL).bind_refs(&values)?.run().await?.meta()?;
    let changes = done.and_then(|meta| meta.changes).and_then(|changes| changes.try_into().ok());
    changes.ok_or_else(|| worker::Error::RustError("D1 does not say how many rows it deleted".into()))
}

/// The rows that a statement returns, as JSON in one crossing: `D1Result::results` asks JavaScript some twenty times a row.
async fn rows(statement: &D1PreparedStatement) -> Result<Vec<Order>> {
    let result: D1Result = JsFuture::from(statement.inner().all()?).await?.unchecked_into();
    let rows = JSON::stringify(&result.results()?.unwrap_or_default())?;
    Ok(serde_json::from_slice(&utf8(&rows))?)
}
