use super::*;

fn write(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Returns the numbers of the lines that a pass reads.
fn pass(files: &mut Files) -> Vec<Option<u32>> {
    let mut found = Vec::new();
    let result = files.pass(&Stop::default(), &mut |line| found.push(line.transaction));
    assert!(result.is_ok(), "{result:?}");
    found
}

fn numbered(transaction: u32) -> String {
    let line = LOG.lines().last().unwrap();
    format!("{}\n", line.replace("3/0,0,", &format!("3/4,{transaction},")))
}

#[test]
fn a_file_is_followed_as_it_grows_and_a_torn_line_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postgresql.csv");
    write(&path, LOG);
    let mut files = Files::new(folder.path());
    assert_eq!(pass(&mut files), [None, Some(725), None]);
    assert_eq!(pass(&mut files), []);
    let (head, tail) = LOG.split_at(LOG.len() - 800);
    write(&path, head);
    let before = pass(&mut files).len();
    write(&path, tail);
    assert_eq!(before + pass(&mut files).len(), 3);
}

#[test]
fn the_next_file_and_a_renamed_one_are_read_to_their_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
    write(&first, &numbered(1));
    let mut files = Files::new(folder.path());
    assert_eq!(pass(&mut files), [Some(1)]);
    write(&first, &numbered(2));
    write(&second, &numbered(3));
    assert_eq!(pass(&mut files), [Some(2), Some(3)]);
    write(&second, &numbered(4));
    fs::hard_link(&second, folder.path().join("b.csv.1")).unwrap();
    fs::remove_file(&second).unwrap();
    write(&second, &numbered(5));
    assert_eq!(pass(&mut files), [Some(4), Some(5)]);
}

#[test]
fn an_emptied_file_is_read_from_its_beginning_and_a_longer_copy_from_where_the_old_one_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    write(&path, &numbered(1));
    let mut files = Files::new(folder.path());
    assert_eq!(pass(&mut files), [Some(1)]);
    fs::File::create(&path).unwrap();
    // As long as what was read already.
    write(&path, &numbered(2));
    assert_eq!(pass(&mut files), [Some(2)]);
    let copy = folder.path().join("copy");
    write(&copy, &format!("{}{}", numbered(2), numbered(3)));
    fs::hard_link(&copy, folder.path().join("other")).unwrap();
    fs::remove_file(&path).unwrap();
    fs::hard_link(&copy, &path).unwrap();
    assert_eq!(pass(&mut files), [Some(3)]);
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let trouble = |folder: &Path| {
        let mut count = 0;
        let result = Files::new(folder).pass(&Stop::default(), &mut |_| count += 1);
        (result.unwrap_err().remove(0), count)
    };
    assert!(matches!(trouble(&folder.path().join("none")).0, Trouble::Folder { .. }));
    assert!(matches!(trouble(folder.path()).0, Trouble::Empty { .. }));
    let advised = super::super::check(folder.path());
    assert_eq!(advised.standing, connect::Standing::Advice, "{advised:?}");
    write(&folder.path().join("list.csv"), &format!("id,name\n1,anna\n{LOG}"));
    let (lines, count) = trouble(folder.path());
    assert!(matches!(lines, Trouble::Lines { .. }), "{lines}");
    assert_eq!(count, 3);
    assert_eq!(super::super::check(folder.path()).standing, connect::Standing::Good);
}
