//! What version 1 said, as it stands in `tests/data/v1`: stays readable, and is still written like that, for as long as a Worker of
//! that version may run or a report of that time is stored. A file is added to, never changed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Identity, Message, NewOrder, NewReport, Order, Page, Proof, Purge, PurgeAnswer, ReportAnswer};

/// Each line of the file is read, and written as it was.
fn same<T: DeserializeOwned + Serialize>(lines: &str) -> Vec<T> {
    lines
        .lines()
        .map(|line| {
            let read: T = serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}"));
            assert_eq!(serde_json::to_string(&read).unwrap(), line);
            read
        })
        .collect()
}

#[test]
fn an_identity_of_each_proof_is_read_and_written_as_it_was() {
    let proofs: Vec<Proof> = same::<Identity>(include_str!("../tests/data/v1/identity.jsonl"))
        .iter()
        .map(|identity| identity.proof)
        .collect();
    assert_eq!(proofs, [Proof::Access, Proof::ClientCertificate, Proof::HttpSignature, Proof::Jwt, Proof::Binding]);
}

#[test]
fn orders_and_pages_are_read_and_written_as_they_were() {
    same::<NewOrder>(include_str!("../tests/data/v1/new-order.jsonl"));
    same::<Order>(include_str!("../tests/data/v1/order.jsonl"));
    let pages = same::<Page>(include_str!("../tests/data/v1/page.jsonl"));
    assert!(pages[0].next_cursor.is_some() && pages[1].next_cursor.is_none());
}

#[test]
fn a_list_that_knows_no_pages_is_a_page_without_a_next() {
    let page: Page = serde_json::from_str(include_str!("../tests/data/v1/list-without-pages.json")).unwrap();
    assert_eq!((page.orders.len(), page.next_cursor), (1, None));
}

#[test]
fn reports_and_the_answers_about_them_are_read_and_written_as_they_were() {
    assert_eq!(same::<NewReport>(include_str!("../tests/data/v1/new-report.jsonl")).len(), 3);
    let answers = same::<ReportAnswer>(include_str!("../tests/data/v1/report-answer.jsonl"));
    assert_eq!(answers[2..], [ReportAnswer::NoSuchReport, ReportAnswer::NotUnderstood]);
}

#[test]
fn a_purge_and_its_answers_are_read_and_written_as_they_were() {
    same::<Purge>(include_str!("../tests/data/v1/purge.jsonl"));
    let answers = same::<PurgeAnswer>(include_str!("../tests/data/v1/purge-answer.jsonl"));
    assert_eq!(answers, [PurgeAnswer::Purged { deleted: 500, more: true }, PurgeAnswer::NotUnderstood]);
}

#[test]
fn an_answer_may_say_more_than_is_known_here_and_a_question_may_not() {
    let answer = r#"{"purged":{"deleted":7,"more":false,"oldest":"2026-11-17"}}"#;
    assert_eq!(PurgeAnswer::read(answer), Some(PurgeAnswer::Purged { deleted: 7, more: false }));
    assert_eq!(PurgeAnswer::read(r#"{"queued":7}"#), None);
    let question = include_str!("../tests/data/v1/purge.jsonl").trim_end();
    assert!(Purge::read(question).is_some());
    assert_eq!(Purge::read(&question.replacen('{', r#"{"dry_run":true,"#, 1)), None);
    assert_eq!(Purge::read(&question.replacen("\"v\":1", "\"v\":2", 1)), None);
}
