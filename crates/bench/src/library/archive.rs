//! A static library with one object, in the format of `ar` that all linkers for ELF read (System V's).

/// Bytes of a member's header.
const HEADER_BYTES: usize = 60;

const MAGIC: &[u8] = b"!<arch>\n";

/// The archive of one object that defines the symbols `public`. It holds no time and no user: the same object gives the
/// same bytes.
pub(super) fn write(name: &str, object: &[u8], public: &[String]) -> Vec<u8> {
    let names: Vec<u8> = public.iter().flat_map(|name| name.bytes().chain([0])).collect();
    let index_bytes = 4 + 4 * public.len() + names.len();
    let object_at = MAGIC.len() + HEADER_BYTES + index_bytes.next_multiple_of(2);
    let mut index = (public.len() as u32).to_be_bytes().to_vec();
    for _ in public {
        index.extend((object_at as u32).to_be_bytes());
    }
    index.extend(names);
    let mut archive = MAGIC.to_vec();
    member(&mut archive, "/", &index);
    member(&mut archive, &format!("{name}/"), object);
    archive
}

fn member(archive: &mut Vec<u8>, name: &str, content: &[u8]) {
    // Name, time, user, group, mode, size; a member ends at an even address.
    let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", content.len());
    archive.extend(header.bytes());
    archive.extend(content);
    if content.len() % 2 == 1 {
        archive.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use object::read::archive::ArchiveFile;

    use super::*;

    #[test]
    fn an_archive_is_read_again() {
        let public = ["a_run".to_owned(), "b_run".to_owned()];
        let bytes = write("networks.o", b"object!", &public);
        let archive = ArchiveFile::parse(bytes.as_slice()).unwrap();
        let members: Vec<_> = archive.members().map(Result::unwrap).collect();
        assert_eq!(members.len(), 1);
        assert_eq!(
            (members[0].name(), members[0].data(bytes.as_slice()).unwrap()),
            (&b"networks.o"[..], &b"object!"[..])
        );
        let symbols: Vec<_> = archive.symbols().unwrap().unwrap().map(Result::unwrap).collect();
        let names: Vec<_> = symbols.iter().map(|symbol| symbol.name()).collect();
        assert_eq!(names, [b"a_run", b"b_run"]);
        let found = archive.member(symbols[1].offset()).unwrap();
        assert_eq!(found.name(), b"networks.o");
    }
}
