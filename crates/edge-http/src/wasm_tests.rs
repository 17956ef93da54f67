//! The crossings themselves, on JavaScript's own `Request` and `Response`: what needs wasm, but no Worker around it.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::{self, HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::IntoResponse as _;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Context, Env, Error, FromRequest, IntoResponse, web_sys};

use crate::{App, Problem, problem, request, response};

fn into_http(url: &str, init: &web_sys::RequestInit) -> Result<http::Request<Body>, Problem> {
    let raw = web_sys::Request::new_with_str_and_init(url, init).unwrap();
    let Ok(request) = crate::Request::from_raw(raw) else { panic!("FromRequest never fails") };
    request::into_http(&request, Context::new(JsValue::UNDEFINED.unchecked_into()))
}

async fn into_js(response: http::Response<Body>) -> web_sys::Response {
    let Ok(raw) = response::into_js(response, false).await.unwrap().into_raw() else {
        panic!("IntoResponse never fails")
    };
    raw
}

async fn text(response: &web_sys::Response) -> String {
    JsFuture::from(response.text().unwrap()).await.unwrap().as_string().unwrap()
}

#[wasm_bindgen_test]
async fn method_uri_headers_and_body_cross_as_they_are() {
    let headers = web_sys::Headers::new().unwrap();
    headers.append("x-one", "1").unwrap();
    headers.append("x-word", "café").unwrap_or_default();
    let init = web_sys::RequestInit::new();
    init.set_method("PATCH");
    init.set_headers(&headers);
    init.set_body(&JsValue::from("a body"));
    let request = into_http("https://example.com/a%20b?c=d", &init).unwrap();

    assert_eq!(request.method(), Method::PATCH);
    assert_eq!(request.uri().to_string(), "https://example.com/a%20b?c=d");
    assert_eq!(request.headers().get("x-one"), Some(&HeaderValue::from_static("1")));
    assert_eq!(to_bytes(request.into_body(), 100).await.unwrap(), "a body");
}

#[wasm_bindgen_test]
fn what_http_cannot_hold_is_refused_with_its_own_status() {
    let long = format!("https://example.com/{}", "x".repeat(70_000));
    let refused = |url: &str| into_http(url, &web_sys::RequestInit::new()).err().map(|problem| problem.status());
    assert_eq!(refused(&long), Some(StatusCode::URI_TOO_LONG));
    assert_eq!(refused("https://example.com/"), None);
}

#[wasm_bindgen_test]
async fn status_repeated_headers_and_body_leave_in_one_call() {
    let mut headers = HeaderMap::new();
    headers.append("set-cookie", HeaderValue::from_static("a=1"));
    headers.append("set-cookie", HeaderValue::from_static("b=2"));
    let left = into_js((StatusCode::IM_A_TEAPOT, headers, "short and stout").into_response()).await;
    assert_eq!(left.status(), 418);
    assert_eq!(left.headers().get("set-cookie").unwrap().as_deref(), Some("a=1, b=2"));
    assert_eq!(text(&left).await, "short and stout");
}

#[wasm_bindgen_test]
async fn a_body_of_unknown_length_leaves_as_a_stream() {
    let chunks = ["one ", "two ", "three"].map(Ok::<_, std::convert::Infallible>);
    let left = into_js(Body::from_stream(futures_util::stream::iter(chunks)).into_response()).await;
    assert_eq!(text(&left).await, "one two three");
}

#[wasm_bindgen_test]
async fn another_standards_form_is_given_to_our_own_errors_and_to_axums_refusals() {
    let render = |problem: &Problem| (problem.status(), format!("<Error>{}</Error>", problem.code())).into_response();
    for (response, expected) in [
        (Problem::new(StatusCode::CONFLICT, "taken", "…").into_response(), "<Error>taken</Error>"),
        (StatusCode::METHOD_NOT_ALLOWED.into_response(), "<Error>method-not-allowed</Error>"),
        ((StatusCode::OK, "fine").into_response(), "fine"),
    ] {
        let status = response.status();
        let (response, _) = problem::in_standard_form(response, render).await;
        assert_eq!(response.status(), status);
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), expected);
    }
}

#[wasm_bindgen_test]
fn a_router_that_cannot_be_built_is_not_built_again_at_each_request() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    static APP: App = App::new(|_| {
        ASKED.fetch_add(1, Ordering::Relaxed);
        Err(Error::RustError("variable LIMIT: no number".into()))
    });
    let env: Env = JsValue::UNDEFINED.unchecked_into();
    for _ in 0..3 {
        assert_eq!(APP.router(&env).err().as_deref(), Some("variable LIMIT: no number"));
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 1);
}
