import Foundation
import Testing

@testable import Archive

@Suite struct OpenDirectoryTests {
    let directory: TemporaryDirectory
    private let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path
    }

    private func mode(of name: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: directory.file(name))[.posixPermissions] as? Int
    }

    @Test func whatIsMadeIsForUsAndOurGroup() throws {
        let root = try OpenDirectory(path)
        let inner = try root.makeDirectory("a")
        try inner.write([1, 2, 3], toNew: "b")
        try inner.allocate(5000, toNew: "c")
        #expect(try bytes(of: directory.file("a/b")) == [1, 2, 3])
        let sizes = [try inner.size(of: "b"), try inner.size(of: "c")]
        #expect(sizes == [3, 5000])
        let listings = [try inner.names(), try inner.names()]
        #expect(listings == [["b", "c"], ["b", "c"]])
        #expect(try mode(of: "a") == 0o750)
        #expect(try mode(of: "a/b") == 0o640)
        // One that is there already is as good.
        let names = try root.makeDirectory("a").names()
        #expect(names == ["b", "c"])
        let free = try root.freeSpace()
        #expect(free > 0)
    }

    @Test func nothingThatIsThereIsOverwritten() throws {
        let root = try OpenDirectory(path)
        try root.write([1], toNew: "a")
        #expect(throws: FileError(.open, directory.file("a"), .system(EEXIST))) { try root.write([2], toNew: "a") }
        _ = try root.makeDirectory("b").makeDirectory("c")
        _ = try root.makeDirectory("d")
        #expect(throws: FileError.self) { try root.rename("d", to: "b") }
        #expect(try bytes(of: directory.file("a")) == [1])
    }

    @Test func whatIsRemovedIsGoneWithAllThatIsInIt() throws {
        for file in ["a/b", "a/c/d", "e"] { try directory.write([1], to: file) }
        let root = try OpenDirectory(path)
        let wasEmpty = root.removeIfEmpty("a")
        #expect(!wasEmpty)
        for name in ["a", "e", "never"] { try root.remove(name) }
        _ = try root.makeDirectory("f")
        let isEmpty = root.removeIfEmpty("f")
        #expect(isEmpty)
        #expect(try directory.names() == [])
    }

    /// What is behind a link is somebody else's.
    @Test func linksAreNotFollowed() throws {
        let others = try TemporaryDirectory()
        try others.write([7], to: "precious")
        for (name, target) in [("folder", others.path), ("file", others.file("precious")), ("nowhere", "/nowhere/x")] {
            try FileManager.default.createSymbolicLink(atPath: directory.file(name), withDestinationPath: target)
        }
        let root = try OpenDirectory(path)
        let refusal = FileError(.open, directory.file("folder"), .symbolicLink)
        #expect(throws: refusal) { _ = try root.directory("folder") }
        #expect(throws: refusal) { _ = try root.makeDirectory("folder") }
        for name in ["file", "nowhere"] {
            #expect(throws: FileError.self) { try root.write([1], toNew: name) }
        }
        #expect(throws: FileError.self) {
            _ = try root.makeDirectory("real")
            try root.rename("real", to: "folder")
        }
        // Only the links themselves go.
        for name in ["folder", "file", "nowhere"] { try root.remove(name) }
        #expect(try directory.names() == ["real"])
        #expect(try bytes(of: others.file("precious")) == [7])
        #expect(FileManager.default.fileExists(atPath: "/nowhere/x") == false)
    }

    /// Not even when the path leads elsewhere meanwhile.
    @Test func aDirectoryIsHeldAndNotItsPath() throws {
        let root = try OpenDirectory(path)
        let inner = try root.makeDirectory("a")
        try root.rename("a", to: "b")
        try FileManager.default.createSymbolicLink(atPath: directory.file("a"), withDestinationPath: "/nowhere")
        try inner.write([1], toNew: "c")
        #expect(try bytes(of: directory.file("b/c")) == [1])
    }
}
