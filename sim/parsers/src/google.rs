//! Bytes as Google sends them, and as the connector stores them.

fn texts<const N: usize>(texts: [&str; N]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn batches() -> Vec<Vec<u8>> {
    let part = |number: usize, inner: &str| {
        format!(
            "--b\r\nContent-Type: application/http\r\nContent-ID: <response-call-{number}>\r\n\r\n{inner}\r\n"
        )
    };
    let good = part(
        0,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{\"id\":\"0\"}",
    );
    let gone = part(1, "HTTP/1.1 404 Not Found\r\n\r\n{\"error\":{\"code\":404}}");
    let calls = |count: u8, rest: String| [&[count][..], rest.as_bytes()].concat();
    vec![
        calls(2, format!("multipart/mixed; boundary=b\n{gone}{good}--b--\r\n")),
        calls(1, format!("multipart/mixed; charset=x; boundary=\"b\"\nprologue\r\n{good}")),
    ]
}

pub(crate) fn ranges() -> Vec<Vec<u8>> {
    let told = |total: u64, sent: u64, header: &str| {
        [&total.to_le_bytes()[..], &sent.to_le_bytes(), header.as_bytes()].concat()
    };
    vec![told(1 << 20, 1 << 19, "bytes=0-262143"), told(u64::MAX, u64::MAX, "bytes=0-18446744073709551614")]
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    // From, an encoded subject, a message id; then a message of nothing.
    texts([
        r#"{"id":"18c2f0","threadId":"18c2f0","labelIds":["UNREAD","INBOX"],"internalDate":"1717171717000","raw":"RnJvbTogPT9VVEYtOD9RP0o9QzM9QjZyZz89IDxqb2VyZ0BhY21lLnRlc3Q-DQpTdWJqZWN0OiA9P1VURi04P0I_UjNMRHZNT2ZaUT09Pz0NCk1lc3NhZ2UtSUQ6IDwxQGFjbWUudGVzdD4NCg0KYm9keQ0K"}"#,
        r#"{"id":"1","raw":""}"#,
    ])
}

pub(crate) fn rendered() -> Vec<Vec<u8>> {
    texts([
        "gmail/a@x message/1 {\"labels\":[\"INBOX\"],\"subject\":\"s\",\"received_ms\":1717171717000}\nFrom: a@x\r\nSubject: s\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hi <a href='https://x'>y</a>\r\n\
         --b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogYQ0KDQpi\r\n--b--\r\n",
        "calendar/a@x event/c/1 {\"summary\":\"s\",\"start\":\"2026-03-02\"}\n{\"attendees\":[{\"email\":\"a@x\"}],\"description\":\"a\\nb\"}",
        "drive/a@x file/1 {\"name\":\"n\",\"mimeType\":\"text/plain\",\"parents\":[\"p\"]}\nsome text\r\nof two lines",
    ])
}

pub(crate) fn raw_texts() -> Vec<Vec<u8>> {
    texts(["U3ViamVjdDogYQ0KDQpiDQo", "_-8=", ""])
}

pub(crate) fn pages() -> Vec<Vec<u8>> {
    texts([
        r#"{"history":[{"id":"1","messages":[{"id":"a"}],"messagesAdded":[{"message":{"id":"a","threadId":"a","labelIds":["INBOX"]}}]},{"id":"2","labelsAdded":[{"message":{"id":"a"},"labelIds":["TRASH"]}]},{"id":"3","messagesDeleted":[{"message":{"id":"a"}}]}],"nextPageToken":"2","historyId":"9"}"#,
        r#"{"messages":[{"id":"a","threadId":"b"}],"nextPageToken":"t","resultSizeEstimate":2}"#,
        r#"{"labels":[{"id":"INBOX","name":"INBOX","type":"system"}]}"#,
        r#"{"incompleteSearch":false,"files":[{"id":"f","name":"a","mimeType":"text/plain","parents":["r"],"size":"12","version":"3","ownedByMe":true,"owners":[{"emailAddress":"a@acme.test","permissionId":"1"}],"permissionIds":["1"],"permissions":[{"id":"1","type":"user","role":"owner"}],"capabilities":{"canDownload":true}}]}"#,
        r#"{"changes":[{"changeType":"file","removed":true,"fileId":"f"}],"newStartPageToken":"8"}"#,
        r#"{"items":[{"id":"e","status":"cancelled"}],"nextSyncToken":"s"}"#,
    ])
}

pub(crate) fn activities() -> Vec<Vec<u8>> {
    texts([
        r#"{"items":[{"id":{"time":"2026-03-02T01:15:42.118Z","uniqueQualifier":"-47","applicationName":"drive"},"actor":{"callerType":"USER","email":"anna@acme.test","profileId":"1000","applicationInfo":{"oauthClientId":"1.apps","applicationName":"Claw","impersonation":true}},"ipAddress":"203.0.113.24","events":[{"type":"access","name":"trash","parameters":[{"name":"primary_event","boolValue":true},{"name":"doc_id","value":"1AbC"},{"name":"doc_title","value":"Plan"},{"name":"owner","value":"anna@acme.test"}]}]}]}"#,
        r#"{"items":[{"id":{"time":"2026-03-02T01:15:42Z","uniqueQualifier":"5"},"actor":{"email":"anna@acme.test"},"events":[{"type":"auth","name":"activity","parameters":[{"name":"method_name","value":"gmail.users.messages.batchDelete"},{"name":"api_name","value":"gmail"},{"name":"num_response_bytes","intValue":"12"},{"name":"scope","multiValue":["https://mail.google.com/"]}]}]}]}"#,
        r#"{"items":[{"id":{"time":"2026-03-02T01:15:42Z","uniqueQualifier":"6"},"actor":{"callerType":"KEY","key":"robot"},"isAgenticAction":true,"events":[{"name":"DELETE_USER","parameters":[{"name":"USER_EMAIL","value":"b@acme.test"}]}]}]}"#,
    ])
}

pub(crate) fn attributes() -> Vec<Vec<u8>> {
    texts([
        r#"{"thread":"18b","labels":["INBOX"],"received_ms":1717171717000,"subject":"Gr\u00fc\u00dfe","from":"a@acme.test","message_id":"1@acme.test"}"#,
        r#"{"name":"a","mimeType":"text/plain","parents":["r"],"trashed":true,"explicitlyTrashed":true,"version":"3","size":"12","md5Checksum":"d41d8cd98f00b204e9800998ecf8427e","owners":[{"emailAddress":"a@acme.test","permissionId":"1"}],"permissions":[{"id":"1","type":"user","role":"owner","emailAddress":"a@acme.test"}],"shortcutDetails":{"targetId":"t","targetMimeType":"text/plain"}}"#,
        r#"{"summary":"Launch","start":"2026-03-02","status":"confirmed","hash":"00"}"#,
        r#"{"resource":"people/c1","name":"Anna","hash":"00"}"#,
        r#"{"url":"https://x.test/p","hash":"00"}"#,
    ])
}

pub(crate) fn positions() -> Vec<Vec<u8>> {
    texts([
        r#"{"mailbox":"a@acme.test","history":"17","listed":true,"compare":false}"#,
        r#"{"stream":"drive/a@acme.test","changes":"17","listed":true,"compare":false}"#,
        r#"{"user":"a@acme.test","list":"t","calendars":{"a@acme.test":"u","b":null}}"#,
        r#"{"user":"a@acme.test","contacts":"t","groups":"u","others":"v"}"#,
        r#"{"from":"2026-03-01T00:00:00Z","until":"2026-03-02T00:00:00Z","seen":{"492000":"BwE","492001":""}}"#,
    ])
}
