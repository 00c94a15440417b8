use super::*;

fn parse(url: &str) -> ConnectionSettings {
    ConnectionSettings::from_url(url).unwrap()
}

fn refuse(url: &str) -> SettingsError {
    ConnectionSettings::from_url(url).unwrap_err()
}

#[test]
fn every_part_of_a_url_is_read() {
    let settings = parse(
        "postgresql://vault:p%40ss%2Fword@db.example.org:6432/app%20one?sslmode=verify-full\
         &sslrootcert=/etc/ca.pem&application_name=unwipe&connect_timeout=7&channel_binding=require",
    );
    assert_eq!(settings.host, Host::Network("db.example.org".into()));
    assert_eq!(settings.port, 6432);
    assert_eq!(settings.user, "vault");
    assert_eq!(settings.password.as_ref().map(|p| p.expose().as_str()), Some("p@ss/word"));
    assert_eq!(settings.database_name(), "app one");
    assert_eq!(settings.tls, TlsMode::VerifyFull);
    assert_eq!(settings.root_certificates, RootCertificates::File("/etc/ca.pem".into()));
    assert_eq!(settings.application_name.as_deref(), Some("unwipe"));
    assert_eq!(settings.connect_timeout, Some(Duration::from_secs(7)));
    assert_eq!(settings.channel_binding, ChannelBinding::Require);
}

#[test]
fn sockets_and_ipv6_are_hosts() {
    let percent = parse("postgres://a@%2Fvar%2Frun/db");
    assert_eq!(percent.host, Host::SocketDirectory("/var/run".into()));
    assert_eq!(percent.endpoint(), "/var/run/.s.PGSQL.5432");
    let query = parse("postgresql://a@/db?host=/tmp&port=5433");
    assert_eq!(query.endpoint(), "/tmp/.s.PGSQL.5433");
    let six = parse("postgresql://a@[::1]:5434/db");
    assert_eq!(six.host, Host::Network("::1".into()));
    assert_eq!(six.endpoint(), "[::1]:5434");
    assert_eq!(six.tls, TlsMode::Prefer);
}

#[test]
fn the_default_is_tls_unless_the_server_is_local() {
    assert_eq!(parse("postgresql://a@db.example.org").tls, TlsMode::Require);
    assert_eq!(parse("postgresql://a@10.0.0.1").tls, TlsMode::Require);
    assert_eq!(parse("postgresql://a@localhost").tls, TlsMode::Prefer);
    assert_eq!(parse("postgresql://a@127.0.0.9").tls, TlsMode::Prefer);
    assert_eq!(parse("postgresql://a@/?host=/tmp").tls, TlsMode::Prefer);
}

#[test]
fn bad_addresses_are_refused_without_repeating_them() {
    assert_eq!(refuse("mysql://a@b"), SettingsError::Scheme);
    assert_eq!(refuse("postgresql://h/db"), SettingsError::UserMissing);
    assert_eq!(refuse("postgresql://a@/db"), SettingsError::HostMissing);
    assert_eq!(refuse("postgresql://a@h,i/db"), SettingsError::SeveralHosts);
    assert_eq!(refuse("postgresql://a@h:0/db"), SettingsError::Malformed { part: "port" });
    assert_eq!(refuse("postgresql://a@h:99999"), SettingsError::Malformed { part: "port" });
    assert_eq!(refuse("postgresql://a:%2@h"), SettingsError::Malformed { part: "password" });
    assert_eq!(refuse("postgresql://a:%00@h"), SettingsError::Malformed { part: "password" });
    assert_eq!(
        refuse("postgresql://a@h?sslcert=x"),
        SettingsError::UnknownParameter { name: "sslcert".into() }
    );
    let error = refuse("postgresql://a:secret@h?sslmode=allow");
    assert!(matches!(error, SettingsError::ParameterValue { name: "sslmode", .. }));
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn the_password_is_never_printed() {
    let settings = parse("postgresql://a:hunter2@h/db");
    assert!(!format!("{settings:?} {settings}").contains("hunter2"));
}
