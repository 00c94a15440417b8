//! What a domain costs in which nothing happens.

use connect::testing::MemorySink;
use google_tenant::{AuditSettings, Size};
use source_google::Part;

use crate::domain::{Domain, SECOND};

#[test]
fn of_a_quiet_domain_of_500_users_each_service_is_asked_three_times_for_a_user() {
    let domain = Domain::with(&Part::ALL, |settings| {
        settings.size = Size { users: 500, messages: 1, files: 1, events: 1, contacts: 1 };
        settings.audit = AuditSettings::immediate();
    });
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    domain.clock.advance_micros(3700 * SECOND);
    domain.running.with_tenant(google_tenant::Tenant::clear_traffic);
    // A process that is started anew looks at everything, at what no feed tells of as well.
    domain.capture(&mut sink);
    domain.running.with_tenant(|tenant| {
        // What is asked for the whole domain, and for shared drives, is asked in the administrator's name.
        let admin = tenant.administrator().unwrap().to_owned();
        let traffic = tenant.traffic();
        let services = ["gmail", "drive", "calendar", "people"];
        // Tokens are asked of no service.
        let of_services = traffic.requests().filter(|(service, ..)| services.contains(service));
        let asked: Vec<_> = of_services.filter(|(_, user, _)| *user != admin).collect();
        for service in services {
            let users = asked.iter().filter(|(own, ..)| *own == service).count();
            assert!(users > 480, "{service} of {users} users was asked");
        }
        let most = asked.iter().max_by_key(|(.., requests)| *requests).unwrap();
        assert!(most.2 <= 3, "{most:?}");
    });
}
