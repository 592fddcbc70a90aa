//! Requests as they are.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use tokio::io::AsyncReadExt;

use crate::Context;
use crate::client::{Body, Call, FHIR};
use crate::exit::{self, Exit, Failure};
use crate::outcome;

/// Requests as they are
#[derive(Debug, Subcommand)]
pub(crate) enum RawVerb {
    /// GET
    Get(Request),
    /// POST
    Post(WithBody),
    /// PUT
    Put(WithBody),
}

#[derive(Debug, Args)]
pub(crate) struct Request {
    /// Path below the FHIR base with its query, e.g. 'DocumentReference?patient=…', or a whole URL
    path: String,
    /// Whose base
    #[arg(long, value_enum, default_value = "registry")]
    at: At,
    /// A further header
    #[arg(long, short = 'H', value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Also print status and headers of the answer on standard error
    #[arg(long, short = 'i')]
    include: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WithBody {
    #[command(flatten)]
    request: Request,
    /// What is sent; - is standard input
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    data: PathBuf,
    /// Its media type
    #[arg(long, value_name = "TYPE", default_value = FHIR)]
    content_type: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum At {
    Registry,
    Repository,
    Identity,
}

pub(crate) async fn run(verb: RawVerb, context: &Context) -> Result<Exit, Failure> {
    let (method, request, body) = match verb {
        RawVerb::Get(request) => (Method::GET, request, None),
        RawVerb::Post(with) => (Method::POST, with.request, Some((with.data, with.content_type))),
        RawVerb::Put(with) => (Method::PUT, with.request, Some((with.data, with.content_type))),
    };
    let mut call = Call::new(method, url(context, &request), "the request").header(ACCEPT, FHIR)?;
    if let Some((file, media_type)) = body {
        call = call.body(Body::Bytes(read(&file).await?.into()), &media_type)?;
    }
    for header in &request.header {
        let (name, value) = header
            .split_once(':')
            .and_then(|(name, value)| Some((name.trim().parse::<HeaderName>().ok()?, value.trim())))
            .ok_or_else(|| Failure::usage(format!("a header is written NAME: VALUE; this is {header:?}")))?;
        if name == CONTENT_TYPE && matches!(call.body, Body::None) {
            return Err(Failure::usage("there is no body to have a content type"));
        }
        call = call.header(name, value)?;
    }
    let answer = context.client.send(call).await?;
    if request.include {
        context.output.remark(&answer.status.to_string());
        for (name, value) in &answer.headers {
            context.output.remark(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
    }
    context.output.bytes(&answer.body)?;
    if answer.status < 400 {
        return Ok(Exit::Done);
    }
    Err(outcome::failure(answer.status, &answer.headers, &answer.body, &answer.request_id, "the request"))
}

fn url(context: &Context, request: &Request) -> String {
    if request.path.starts_with("http://") || request.path.starts_with("https://") {
        return request.path.clone();
    }
    let base = match request.at {
        At::Registry => &context.settings.registry.base,
        At::Repository => &context.settings.repository.base,
        At::Identity => &context.settings.identity.base,
    };
    match request.path.trim_start_matches('/') {
        "" => base.clone(),
        path => format!("{base}/{path}"),
    }
}

/// A file, or standard input for `-`.
pub(crate) async fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() != "-" {
        return tokio::fs::read(path).await.map_err(|error| exit::file("reading", path, &error));
    }
    let mut bytes = Vec::new();
    tokio::io::stdin()
        .read_to_end(&mut bytes)
        .await
        .map_err(|error| Failure::other(format!("reading standard input: {error}")))?;
    Ok(bytes)
}
