//! An S3 server with Object Lock for tests. It keeps everything in memory and listens on two ports of 127.0.0.1: its
//! first line says the address that checks signatures and, after a space, a back door to the same buckets that does not.
//!
//! It ends when its standard input is closed, so that a test that dies leaves no server behind.
//!
//! Access keys: `root` may do everything; `writer` may do everything but delete and configure; `reader` may read;
//! `reaper` may read and delete. The secret of each is its name followed by `-secret`.

use std::{future::IntoFuture, io::Read, net::SocketAddr, sync::Arc};

use axum::{
    Extension, Router,
    body::Body,
    extract::Request,
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};
use fakecloud_core::{
    auth::{CredentialResolver, Principal, PrincipalType, ResolvedCredential},
    delivery::DeliveryBus,
    dispatch::{self, DispatchConfig},
    multi_account::MultiAccountState,
    registry::ServiceRegistry,
};
use fakecloud_s3::S3Service;
use parking_lot::RwLock;

const ACCOUNT: &str = "000000000000";
const REGION: &str = "us-east-1";
const KEYS: [&str; 4] = ["root", "writer", "reader", "reaper"];

struct Keys;

impl CredentialResolver for Keys {
    fn resolve(&self, access_key_id: &str) -> Option<ResolvedCredential> {
        let key = KEYS.into_iter().find(|key| *key == access_key_id)?;
        Some(ResolvedCredential {
            secret_access_key: format!("{key}-secret"),
            session_token: None,
            principal: Principal {
                arn: format!("arn:aws:iam::{ACCOUNT}:{key}"),
                user_id: key.to_owned(),
                account_id: ACCOUNT.to_owned(),
                principal_type: PrincipalType::Root,
                source_identity: None,
                tags: None,
            },
            session_policies: Vec::new(),
            mfa_present: false,
            token_issued_at: None,
            federated_provider: None,
        })
    }
}

/// Refuses what the policy of a key would refuse. The signature is checked behind it.
async fn permit(request: Request, next: Next) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = authorization.and_then(|text| text.split("Credential=").nth(1)?.split('/').next()).unwrap_or_default();
    let (method, query) = (request.method(), request.uri().query().unwrap_or_default());
    let reads = matches!(*method, Method::GET | Method::HEAD);
    // Below `/bucket/` lies an object; the bucket itself is configured through `/bucket?…`.
    let of_object = request.uri().path().trim_matches('/').contains('/');
    let allowed = match key {
        "writer" => reads || *method == Method::PUT && of_object,
        "reader" => reads,
        "reaper" => reads || *method == Method::DELETE && of_object && query.contains("versionId="),
        _ => true,
    };
    if allowed {
        return next.run(request).await;
    }
    let answer = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code><Message>this key may not</Message></Error>";
    let mut response = Response::new(Body::from(answer));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let front = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let back = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let (front_address, back_address) = (front.local_addr()?, back.local_addr()?);
    let state = MultiAccountState::new(ACCOUNT, REGION, &format!("http://{front_address}"));
    let mut registry = ServiceRegistry::new();
    registry.register(Arc::new(S3Service::new(Arc::new(RwLock::new(state)), Arc::new(DeliveryBus::new()))));
    let registry = Arc::new(registry);
    let app = |verify_sigv4: bool| {
        let config = DispatchConfig {
            verify_sigv4,
            credential_resolver: Some(Arc::new(Keys)),
            ..DispatchConfig::new(REGION, ACCOUNT)
        };
        let router = Router::new().fallback(dispatch::dispatch);
        let router = if verify_sigv4 { router.layer(middleware::from_fn(permit)) } else { router };
        router.layer(Extension(Arc::clone(&registry))).layer(Extension(Arc::new(config)))
    };
    let front = axum::serve(front, app(true).into_make_service_with_connect_info::<SocketAddr>());
    let back = axum::serve(back, app(false).into_make_service_with_connect_info::<SocketAddr>());
    println!("{front_address} {back_address}");
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        drop(std::io::stdin().read_to_end(&mut rest));
        std::process::exit(0);
    });
    tokio::try_join!(front.into_future(), back.into_future())?;
    Ok(())
}
