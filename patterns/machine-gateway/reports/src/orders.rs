use std::time::Duration;

use contract::{IDENTITY, Identity, Message, NewReport, Page};
use edge_http::http::Request;
use edge_http::{Bytes, Trace, within};
use worker::{Error, Fetcher, Response, Result};

use crate::tally::Tally;

/// How many pages a report is made of at most. One request may enter 32 Workers in all (Cloudflare's limit on service
/// bindings), and the gateway and this one are two of them.
const MAX_PAGES: u32 = 20;
/// How long all the pages together are waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

pub enum Gathered {
    /// `truncated` says that there were more than [`MAX_PAGES`].
    Tally { tally: Tally, truncated: bool },
    /// The orders Worker does not understand who asks.
    NotUnderstood,
}

/// Adds up the principal's orders that belong to the report, from the newest back to the report's first day.
pub async fn gather(orders: &Fetcher, trace: &Trace, identity: &Identity, about: &NewReport) -> Result<Gathered> {
    within(TIMEOUT, all_pages(orders, trace, identity, about)).await
}

async fn all_pages(orders: &Fetcher, trace: &Trace, identity: &Identity, about: &NewReport) -> Result<Gathered> {
    let identity = identity.write()?;
    let mut tally = Tally::default();
    let mut cursor = None;
    for _ in 0..MAX_PAGES {
        let Some(page) = page(orders, trace, &identity, cursor.as_deref()).await? else {
            return Ok(Gathered::NotUnderstood);
        };
        for order in page.orders.iter().filter(|order| about.covers(&order.created_at)) {
            tally.add(order);
        }
        let is_past = page.orders.last().is_some_and(|oldest| about.begins_after(&oldest.created_at));
        cursor = page.next_cursor.filter(|_| !is_past);
        if cursor.is_none() {
            return Ok(Gathered::Tally { tally, truncated: false });
        }
    }
    Ok(Gathered::Tally { tally, truncated: true })
}

/// One page; None when the orders Worker does not understand who asks.
async fn page(orders: &Fetcher, trace: &Trace, identity: &str, cursor: Option<&str>) -> Result<Option<Page>> {
    let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
    let url = format!("https://orders/v1/orders?limit={}{cursor}", Page::MAX);
    let answer = trace.fetch(orders, Request::get(url).header(IDENTITY, identity), Bytes::new()).await?;
    match answer.status().as_u16() {
        200 => Ok(Some(serde_json::from_str(&Response::from(answer).text().await?)?)),
        501 => Ok(None),
        status => Err(Error::RustError(format!("orders answers {status}"))),
    }
}
