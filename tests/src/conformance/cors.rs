//! What browsers are told: everything to pages of listed origins, nothing to others.

use anyhow::{Result, ensure};
use reqwest::Method;

use super::world::World;
use super::{Case, case, skip};
use crate::answer::Answer;
use crate::region::Actor;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("cors-preflight", preflights),
        case!("cors-actual", requests_of_a_listed_page),
        case!("cors-foreign", foreign_origins),
        case!("cors-admin", the_admin_listener_knows_no_origins),
    ]
}

const FOREIGN: [&str; 4] =
    ["https://evil.test", "null", "http://viewer.example", "https://viewer.example.evil.test"];

fn listed(world: &World) -> Result<&str> {
    world.subject.cors_origin.as_deref().ok_or_else(|| skip("no listed origin of these servers is known"))
}

async fn preflight(world: &World, url: &str, origin: &str) -> Result<Answer> {
    let request = world.wire.request(Method::OPTIONS, url).header("Origin", origin);
    let request = request.header("Access-Control-Request-Method", "PATCH");
    world.wire.send(request.header("Access-Control-Request-Headers", "authorization, x-fhir-starter")).await
}

async fn preflights(world: &World) -> Result<()> {
    let origin = listed(world)?;
    for actor in Actor::ALL {
        for path in ["metadata", "Patient", "no/such/path"] {
            let answer = preflight(world, &world.url(actor, path), origin).await?;
            let told = |name: &str| answer.header(name).unwrap_or_default().to_ascii_lowercase();
            let what = format!("{} {path}", actor.name());
            ensure!([200, 204].contains(&answer.status), "{what}: {}", answer.status);
            ensure!(told("Access-Control-Allow-Origin") == origin, "{what}: the origin");
            let methods = "get, post, put, patch, delete, head, options";
            ensure!(
                told("Access-Control-Allow-Methods") == methods,
                "{what}: {}",
                told("Access-Control-Allow-Methods")
            );
            let headers = told("Access-Control-Allow-Headers");
            let headers: Vec<&str> = headers.split(',').map(str::trim).collect();
            for header in [
                "authorization",
                "content-type",
                "accept",
                "prefer",
                "if-match",
                "if-none-match",
                "if-none-exist",
                "if-modified-since",
                "cache-control",
                "range",
                "x-request-id",
                "traceparent",
                "x-requested-with",
                "x-fhir-starter",
                "idempotency-key",
            ] {
                ensure!(headers.contains(&header), "{what}: {header} may be sent: {headers:?}");
            }
            ensure!(told("Access-Control-Max-Age") == "600", "{what}: the answer may be kept for 600 s");
            ensure!(told("Vary").contains("origin"), "{what}: Vary names Origin");
        }
    }
    Ok(())
}

async fn requests_of_a_listed_page(world: &World) -> Result<()> {
    let origin = listed(world)?;
    let urls = [
        world.url(Actor::Registry, "metadata"),
        world.d1.url.clone(),
        world.url(Actor::Identity, "Nothing/1"),
    ];
    for url in urls {
        let answer = world.wire.send(world.wire.request(Method::GET, &url).header("Origin", origin)).await?;
        ensure!(
            answer.header("Access-Control-Allow-Origin") == Some(origin),
            "{url}: the origin may read it"
        );
        let exposed = answer.header("Access-Control-Expose-Headers").unwrap_or_default().to_ascii_lowercase();
        let exposed: Vec<&str> = exposed.split(',').map(str::trim).collect();
        for header in [
            "location",
            "content-location",
            "etag",
            "last-modified",
            "x-request-id",
            "traceparent",
            "content-disposition",
            "content-length",
            "content-range",
            "accept-ranges",
            "repr-digest",
            "retry-after",
            "preference-applied",
            "www-authenticate",
        ] {
            ensure!(exposed.contains(&header), "{url}: {header} may be read: {exposed:?}");
        }
    }
    Ok(())
}

async fn foreign_origins(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        for origin in FOREIGN {
            let url = world.url(actor, "metadata");
            let get = world.wire.send(world.wire.request(Method::GET, &url).header("Origin", origin)).await?;
            get.expect(200)?;
            for answer in [get, preflight(world, &url, origin).await?] {
                let told: Vec<_> = answer
                    .headers
                    .keys()
                    .filter(|name| name.as_str().starts_with("access-control-"))
                    .collect();
                ensure!(told.is_empty(), "{} tells {origin} {told:?}", actor.name());
            }
        }
    }
    Ok(())
}

async fn the_admin_listener_knows_no_origins(world: &World) -> Result<()> {
    let origin = listed(world)?;
    for actor in Actor::ALL {
        let Some(admin) = world.subject.admin(actor) else {
            return Err(skip("the admin listener is not known"));
        };
        let url = format!("{admin}/metrics");
        let answer = world.wire.send(world.wire.request(Method::GET, &url).header("Origin", origin)).await?;
        ensure!(
            answer.header("Access-Control-Allow-Origin").is_none(),
            "{} tells pages its metrics",
            actor.name()
        );
    }
    Ok(())
}
