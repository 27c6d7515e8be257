//! The packages beside a library, of networks or of the interpreter: CMake finds and links it, and so would Zephyr.

use std::path::{Path, PathBuf};
use std::process::Command;

use rasbora_bench::Platform;

use crate::library::succeed;
use crate::{header, interpreter};

/// A library in a folder, and a program that calls it.
struct Package {
    name: &'static str,
    symbol: &'static str,
    place: PathBuf,
    main: &'static str,
}

/// The network of the digits, and the interpreter with its kernels.
fn packages(folder: &Path) -> [Package; 2] {
    let interpreter = folder.join("interpreter");
    interpreter::build(&interpreter, &[&header::digits()], Platform::Host);
    [
        Package {
            name: "digits",
            symbol: "RASBORA_DIGITS",
            place: header::built(folder).1,
            main: "#include \"digits.h\"\nint main(void) { return digits_run() != DIGITS_ERROR_NOT_READY; }\n",
        },
        Package {
            name: "rasbora",
            symbol: "RASBORA",
            place: interpreter,
            main: "#include \"rasbora.h\"\nint main(void) { return rasbora_run(0) != RASBORA_ERROR_NOT_READY; }\n",
        },
    ]
}

impl Package {
    /// Has CMake build the program with `lists` after the project's first lines, and runs it.
    fn run_with(&self, lists: &str) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path();
        let lists = format!(
            "cmake_minimum_required(VERSION 3.16)\nproject(program C)\nadd_executable(program main.c)\n{lists}\n"
        );
        std::fs::write(folder.join("CMakeLists.txt"), lists).expect("a file");
        std::fs::write(folder.join("main.c"), self.main).expect("a file");
        let out = folder.join("out");
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", self.place.display());
        succeed(Command::new("cmake").arg(prefix).arg("-S").arg(folder).arg("-B").arg(&out));
        succeed(Command::new("cmake").arg("--build").arg(&out));
        succeed(&mut Command::new(out.join("program")));
    }

    fn file(&self, path: &str) -> String {
        std::fs::read_to_string(self.place.join(path)).expect("a file")
    }
}

#[test]
fn cmake_finds_the_package() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for package in packages(folder.path()) {
        let name = package.name;
        package.run_with(&format!("find_package({name} REQUIRED)\ntarget_link_libraries(program {name}::{name})"));
    }
}

/// Zephyr itself is too large to be here: its two functions that the module calls are defined as Zephyr documents them.
#[test]
fn the_module_calls_what_zephyr_has() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for package in packages(folder.path()) {
        let Package { name, symbol, ref place, .. } = package;
        package.run_with(&format!(
            "function(zephyr_library_import name path)\n  target_link_libraries(program \"${{path}}\")\nendfunction()\n\
             function(zephyr_include_directories)\n  target_include_directories(program PRIVATE ${{ARGV}})\nendfunction()\n\
             set(CONFIG_{symbol} y)\ninclude({}/zephyr/CMakeLists.txt)",
            place.display()
        ));
        let kconfig = package.file("zephyr/Kconfig");
        assert!(kconfig.starts_with(&format!("config {symbol}\n\tbool ")), "{kconfig}");
        let module = package.file("zephyr/module.yml");
        let wanted = format!("name: {name}\nbuild:\n  cmake: zephyr\n  kconfig: zephyr/Kconfig\n");
        assert!(module.contains(&wanted), "{module}");
    }
}
