use wstd::http::{Body, Client, Error, Request, Response};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let to = request.uri().query().and_then(|query| query.strip_prefix("url=")).unwrap_or_default();
    let call = Request::get(to).body(Body::empty())?;
    let mut answer = Client::new().send(call).await?;
    let text = answer.body_mut().str_contents().await?.to_owned();
    Ok(Response::new(format!("wstd: {text}").into()))
}
