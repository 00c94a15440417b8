use proptest::prelude::*;

use super::*;

const DUMP: &str = "\
--
-- PostgreSQL database dump
--

\\restrict abc

SET statement_timeout = 0;
SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: t; Type: TABLE; Schema: public; Owner: anna
--

CREATE TABLE public.t (
    id integer
);


ALTER TABLE public.t OWNER TO anna;

SET default_tablespace = fast;

--
-- Name: TABLE t; Type: COMMENT; Schema: public; Owner: anna
--

COMMENT ON TABLE public.t IS 'two
--
-- Name: evil; Type: TABLE; Schema: public; Owner: anna
--

DROP TABLE public.u;
SET default_tablespace = lines';


--
-- Name: f(); Type: FUNCTION; Schema: public; Owner: anna
--

CREATE FUNCTION public.f() RETURNS text
    LANGUAGE sql
    AS $_$
--
-- Name: evil; Type: TABLE; Schema: public; Owner: anna
--
select '$1$' $_$;


--
-- PostgreSQL database dump complete
--

\\unrestrict abc
";

#[test]
fn objects_are_told_apart_and_carry_their_settings() {
    let found = entries(DUMP);
    let names: Vec<_> = found.iter().map(Entry::label).collect();
    assert_eq!(names, ["TABLE public.t", "COMMENT public.TABLE t", "FUNCTION public.f()"]);
    assert!(
        found[0].sql.starts_with("SET default_tablespace = '';\nSET default_table_access_method = heap;\n")
    );
    assert!(found[0].sql.ends_with("ALTER TABLE public.t OWNER TO anna;"), "{}", found[0].sql);
    assert!(found[1].sql.starts_with("SET default_tablespace = fast;"));
}

#[test]
fn a_head_inside_of_a_string_or_body_is_text() {
    let found = entries(DUMP);
    assert!(
        found[1].sql.contains("DROP TABLE public.u;\nSET default_tablespace = lines';"),
        "{}",
        found[1].sql
    );
    assert!(found[2].sql.starts_with("SET default_tablespace = fast;"), "{}", found[2].sql);
    assert!(found[2].sql.ends_with("$_$;"), "{}", found[2].sql);
    assert!(found.iter().all(|entry| entry.name != "evil" && !entry.sql.contains("unrestrict")));
}

#[test]
fn a_name_may_look_like_a_head() {
    let entry =
        parse_head("-- Name: a; Type: X; Schema: y; Owner: z; Type: INDEX; Schema: public; Owner: anna")
            .unwrap();
    assert_eq!(entry.identity(), ("INDEX", Some("public"), "a; Type: X; Schema: y; Owner: z"));
}

proptest! {
    #[test]
    fn no_text_makes_it_fall_over(text in "[-'\"$a\\\\/*\nE:;N ]{0,80}") {
        let total: usize = top_level_lines(&text).len();
        prop_assert!(total <= text.len());
        entries(&text);
    }
}
