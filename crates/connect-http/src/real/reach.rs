//! Tells what fails before a connection is there from what fails on it: only then is it certain that nothing was sent.

use ureq::{
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{ConnectionDetails, Connector, DefaultConnector, NextTimeout},
    },
};

/// What failed while a host was looked up, connected to, or agreed with on keys.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct Unreached(ureq::Error);

fn unreached(error: ureq::Error) -> ureq::Error {
    ureq::Error::Other(Box::new(Unreached(error)))
}

/// Looks hosts up as usual, and marks its errors.
#[derive(Debug, Default)]
pub(super) struct Lookup(DefaultResolver);

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        self.0.resolve(uri, config, timeout).map_err(unreached)
    }
}

/// Connects as usual, TLS included, and marks its errors.
#[derive(Debug, Default)]
pub(super) struct Connect(DefaultConnector);

impl Connector for Connect {
    type Out = <DefaultConnector as Connector>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        self.0.connect(details, chained).map_err(unreached)
    }
}
