use http_body_util::BodyExt;
use spin_sdk::http::{Error, IntoResponse, Request, get};
use spin_sdk::http_service;

#[http_service]
async fn main(request: Request) -> Result<impl IntoResponse, Error> {
    let to = request.uri().query().and_then(|query| query.strip_prefix("url=")).unwrap_or_default();
    let answer = get(to).await?;
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(format!("spin: {}", String::from_utf8_lossy(&body)))
}
