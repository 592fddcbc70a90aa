//! Plain actix-web answering fixed bytes: what our own server is measured against. `plain ADDRESS WORKERS`.

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};

fn main() -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(serve())
}

async fn serve() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let workers = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let bytes = Bytes::from(vec![b'x'; 1 << 20]);
    let server = HttpServer::new(move || {
        let bytes = bytes.clone();
        App::new()
            .route("/empty", web::get().to(async || HttpResponse::Ok().finish()))
            .route(
                "/bytes",
                web::get().to(move |request: actix_web::HttpRequest| {
                    let n = request
                        .query_string()
                        .strip_prefix("n=")
                        .and_then(|n| n.parse().ok())
                        .unwrap_or(1024);
                    let body = bytes.slice(..n);
                    async move { HttpResponse::Ok().content_type("application/octet-stream").body(body) }
                }),
            )
            .route("/bytes", web::post().to(async |body: Bytes| body.len().to_string()))
            .app_data(web::PayloadConfig::new(16 << 20))
    })
    .workers(workers)
    .bind(address)?;
    for address in server.addrs() {
        println!("ready plain http://{address}");
    }
    server.run().await
}
