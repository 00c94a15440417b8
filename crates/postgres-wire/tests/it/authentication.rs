use std::{
    path::{Path, PathBuf},
    process::Command,
};

use postgres_server::testing::{TestOptions, TestServer, account, majors_available, reachable_folder};
use postgres_wire::{Mode, TlsError, WireError};
use tempfile::TempDir;

use crate::support::{chain, clock, connect, limits, superuser, tcp_url};

/// A certificate authority, a certificate for `localhost` and 127.0.0.1, and another authority.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn make(names: &str) -> Self {
        let folder = reachable_folder();
        let certificates = Self { folder };
        for authority in ["ca", "other"] {
            certificates.openssl(&format!(
                "req -x509 -newkey rsa:2048 -nodes -sha256 -days 2 -keyout {authority}.key -out {authority}.pem \
                 -subj /CN={authority}"
            ));
        }
        certificates
            .openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server");
        std::fs::write(certificates.path("names"), format!("subjectAltName={names}\n")).unwrap();
        // SHA-384, so that channel binding must look at the certificate rather than assume SHA-256.
        certificates.openssl(
            "x509 -req -sha384 -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names \
             -out server.pem",
        );
        for file in ["server.key", "server.pem"] {
            account().own(&certificates.path(file)).unwrap();
        }
        certificates
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Has a server use the certificate.
    pub(crate) fn apply(&self, options: &mut TestOptions) {
        options.settings.set("ssl", &"on");
        options.settings.set("ssl_cert_file", &self.path("server.pem").display());
        options.settings.set("ssl_key_file", &self.path("server.key").display());
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
}

fn start(major: u32, access: &[&str], certificates: Option<&Certificates>) -> TestServer {
    let server = TestServer::start(major, |options| {
        options.loopback = true;
        options.access.truncate(1);
        options.access.extend(access.iter().map(ToString::to_string));
        if let Some(certificates) = certificates {
            certificates.apply(options);
        }
    });
    server.sql("set password_encryption = 'scram-sha-256'; create role scram login password 'pä$$ wörd'");
    server.sql("set password_encryption = 'md5'; create role hashed login password 'secret'");
    server
}

#[test]
fn every_password_method_works_on_every_major() {
    let access = [
        "host all scram 127.0.0.1/32 scram-sha-256",
        "host all hashed 127.0.0.1/32 md5",
        "host all postgres 127.0.0.1/32 trust",
    ];
    for major in majors_available() {
        let server = start(major, &access, None);
        for credentials in ["scram:p%C3%A4$$%20w%C3%B6rd", "hashed:secret", "postgres"] {
            let mut connection =
                connect(&tcp_url(&server, credentials, "sslmode=disable"), Mode::Sql).unwrap();
            assert_eq!(connection.major(), major);
            let role = connection.query_one("select current_user").unwrap().remove(0);
            assert_eq!(role.as_deref(), credentials.split(':').next());
        }
        for credentials in ["scram:wrong", "hashed:wrong"] {
            let error = connect(&tcp_url(&server, credentials, ""), Mode::Sql).unwrap_err();
            assert!(matches!(error, WireError::AuthenticationRefused { .. }), "{}", chain(&error));
            assert!(error.hint().unwrap().contains("ALTER ROLE"));
        }
        let error = connect(&tcp_url(&server, "scram", ""), Mode::Sql).unwrap_err();
        assert!(matches!(error, WireError::PasswordMissing { .. }), "{}", chain(&error));
    }
}

#[test]
fn a_password_in_clear_needs_tls() {
    let certificates = Certificates::make("IP:127.0.0.1");
    let server = start(15, &["host all all 127.0.0.1/32 password"], Some(&certificates));
    let open = connect(&tcp_url(&server, "hashed:secret", "sslmode=disable"), Mode::Sql).unwrap_err();
    assert!(matches!(open, WireError::AuthenticationUnsupported { .. }), "{}", chain(&open));
    connect(&tcp_url(&server, "hashed:secret", "sslmode=require"), Mode::Sql).unwrap();
}

#[test]
fn scram_is_bound_to_the_tls_channel_on_every_major() {
    let certificates = Certificates::make("IP:127.0.0.1");
    for major in majors_available() {
        let server = start(major, &["hostssl all all 127.0.0.1/32 scram-sha-256"], Some(&certificates));
        let root = certificates.path("ca.pem");
        let parameters =
            format!("sslmode=verify-full&channel_binding=require&sslrootcert={}", root.display());
        let url = tcp_url(&server, "scram:p%C3%A4$$%20w%C3%B6rd", &parameters);
        let mut connection = connect(&url, Mode::Sql).unwrap();
        assert!(connection.is_encrypted());
        let ssl = connection.query_one("select ssl from pg_stat_ssl where pid = pg_backend_pid()").unwrap();
        assert_eq!(ssl[0].as_deref(), Some("t"));
        // A result larger than every buffer passes the encryption unharmed.
        let row = connection.query_one("select repeat('x', 3000000)").unwrap();
        assert_eq!(row[0].as_ref().map(String::len), Some(3_000_000));

        let unbound = url.replace("channel_binding=require", "channel_binding=disable");
        assert!(connect(&unbound, Mode::Sql).unwrap().is_encrypted());
    }
}

#[test]
fn binding_is_refused_where_it_cannot_be_had() {
    let server = start(15, &["host all all 127.0.0.1/32 scram-sha-256"], None);
    let url = tcp_url(&server, "scram:p%C3%A4$$%20w%C3%B6rd", "channel_binding=require");
    let error = connect(&url, Mode::Sql).unwrap_err();
    assert!(
        matches!(&error, WireError::Tls { source: TlsError::ChannelBinding { .. }, .. }),
        "{}",
        chain(&error)
    );
}

fn handshake_error(url: &str) -> rustls::CertificateError {
    match connect(url, Mode::Sql).unwrap_err() {
        WireError::Tls { source: TlsError::Handshake(rustls::Error::InvalidCertificate(error)), .. } => error,
        other => panic!("{}", chain(&other)),
    }
}

fn verified(server: &TestServer, mode: &str, root: &Path) -> String {
    tcp_url(server, "hashed:secret", &format!("sslmode={mode}&sslrootcert={}", root.display()))
}

#[test]
fn wrong_authorities_and_wrong_hosts_are_refused() {
    let certificates = Certificates::make("DNS:db.example.org");
    let server = start(15, &["hostssl all all 127.0.0.1/32 md5"], Some(&certificates));
    let (ca, other) = (certificates.path("ca.pem"), certificates.path("other.pem"));

    connect(&verified(&server, "verify-ca", &ca), Mode::Sql).unwrap();
    connect(&verified(&server, "require", &ca), Mode::Sql).unwrap();
    connect(&tcp_url(&server, "hashed:secret", "sslmode=require"), Mode::Sql).unwrap();
    // The server's own certificate as the only trusted one: a pin.
    let own = certificates.path("server.pem");
    connect(&verified(&server, "verify-ca", &own), Mode::Sql).unwrap();

    for root in [&ca, &own] {
        let wrong_host = handshake_error(&verified(&server, "verify-full", root));
        assert!(
            matches!(
                wrong_host,
                rustls::CertificateError::NotValidForName
                    | rustls::CertificateError::NotValidForNameContext { .. }
            ),
            "{wrong_host:?}"
        );
    }
    for mode in ["require", "verify-ca", "verify-full"] {
        let wrong_authority = handshake_error(&verified(&server, mode, &other));
        assert!(
            matches!(
                wrong_authority,
                rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature
            ),
            "{wrong_authority:?}"
        );
    }
    let error =
        connect(&verified(&server, "verify-ca", &certificates.path("none.pem")), Mode::Sql).unwrap_err();
    assert!(matches!(error, WireError::Tls { source: TlsError::RootCertificates { .. }, .. }));
}

#[test]
fn a_server_without_tls_is_refused_when_tls_is_required() {
    let server = start(15, &["host all all 127.0.0.1/32 md5"], None);
    let error = connect(&tcp_url(&server, "hashed:secret", "sslmode=require"), Mode::Sql).unwrap_err();
    assert!(matches!(error, WireError::Tls { source: TlsError::NotOffered, .. }));
    assert!(
        !connect(&tcp_url(&server, "hashed:secret", "sslmode=prefer"), Mode::Sql).unwrap().is_encrypted()
    );
}

#[test]
fn preferred_tls_falls_back_only_where_the_server_admits_no_tls() {
    let certificates = Certificates::make("IP:127.0.0.1");
    let server = start(15, &["hostnossl all all 127.0.0.1/32 md5"], Some(&certificates));
    let preferred = connect(&tcp_url(&server, "hashed:secret", "sslmode=prefer"), Mode::Sql).unwrap();
    assert!(!preferred.is_encrypted());
    let required = connect(&tcp_url(&server, "hashed:secret", "sslmode=require"), Mode::Sql).unwrap_err();
    assert!(matches!(required, WireError::NotAdmitted { .. }));
}

#[test]
fn a_running_command_is_cancelled_with_and_without_tls() {
    let certificates = Certificates::make("IP:127.0.0.1");
    let server = start(15, &["host all all 127.0.0.1/32 trust"], Some(&certificates));
    for mode in ["disable", "require"] {
        let url = tcp_url(&server, "postgres", &format!("sslmode={mode}"));
        let mut connection = connect(&url, Mode::Sql).unwrap();
        let handle = connection.cancel_handle().unwrap();
        let pid = connection.backend_process().unwrap();
        let error = std::thread::scope(|scope| {
            let query = scope.spawn(|| connection.query_one("select pg_sleep(60)").unwrap_err());
            let mut observer = superuser(&server, Mode::Sql);
            let waiting = format!("select 1 from pg_stat_activity where pid = {pid} and state = 'active'");
            while observer.query_rows(&waiting).unwrap().is_empty() {
                clock().sleep(std::time::Duration::from_millis(10));
            }
            handle.cancel(limits().connect_timeout, clock()).unwrap();
            query.join().unwrap()
        });
        assert_eq!(error.server().map(|server| server.sqlstate.as_str()), Some("57014"));
        assert_eq!(connection.query_one("select 1").unwrap(), vec![Some("1".to_owned())]);
    }
}
