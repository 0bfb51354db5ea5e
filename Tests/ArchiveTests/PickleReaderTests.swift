import Testing

@testable import Archive

@Suite struct PickleReaderTests {
    static func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static func text(_ text: String) -> [UInt8] {
        [UInt8(ascii: "X")] + ZipBuilder.number(text.utf8.count, 4) + Array(text.utf8)
    }

    static func global(_ module: String, _ name: String) -> [UInt8] { ascii("c\(module)\n\(name)\n") }

    /// Protocol 2 around opcodes.
    static func pickle(_ opcodes: [UInt8]...) -> [UInt8] { [0x80, 2] + opcodes.flatMap { $0 } + ascii(".") }

    private static let emptyTuple = ascii(")")
    private static let reduce = ascii("R")

    static func storage(elements: [UInt8] = [UInt8(ascii: "K"), 6]) -> [UInt8] {
        ascii("(") + text("storage") + global("torch", "FloatStorage") + text("0") + text("cpu") + elements
            + ascii("tQ")
    }

    static func integer(_ value: Int) -> [UInt8] { [0x8A, 8] + ZipBuilder.number(value, 8) }

    static func tensor(elements: Int = 6, offset: Int = 0, shape: [Int], strides: [Int]) -> [UInt8] {
        global("torch._utils", "_rebuild_tensor_v2") + ascii("(") + storage(elements: integer(elements))
            + integer(offset) + ascii("(")
            + shape.flatMap { integer($0) } + ascii("t(") + strides.flatMap { integer($0) } + ascii("t")
            + [0x89] + emptyTuple + ascii("tR")
    }

    @Test func scalarsAreTheOnesOfTheFormat() throws {
        let cases: [([UInt8], PickledObjects.Value)] = [
            ([UInt8(ascii: "J"), 0xFE, 0xFF, 0xFF, 0xFF], .integer(-2)), ([UInt8(ascii: "M"), 1, 2], .integer(513)),
            ([0x8A, 0], .integer(0)), ([0x8A, 1, 0xFF], .integer(-1)), ([0x8A, 2, 0x00, 0x80], .integer(-32768)),
            ([UInt8(ascii: "G"), 0x3F, 0xF8, 0, 0, 0, 0, 0, 0], .float(1.5)), ([0x8C, 2, 0xC2, 0xB5], .text("µ")),
        ]
        for (opcodes, expected) in cases {
            let (objects, root) = try PickleReader.read(Self.pickle(opcodes))
            #expect("\(objects[root])" == "\(expected)")
        }
    }

    @Test(arguments: [
        ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("__builtin__", "getattr"), ("torch", "load"),
        ("torch.nn.functional", "relu"), ("numpy.core.multiarray", "_reconstruct"), ("torch._utils", "_rebuild_x"),
    ])
    func whatIsNotDataIsRefusedByName(module: String, name: String) {
        let current = module == "__builtin__" ? "builtins" : module
        for call in [Self.reduce, [0x81]] {
            #expect(throws: PickleError.foreignName("\(current).\(name)")) {
                try PickleReader.read(Self.pickle(Self.global(module, name), Self.emptyTuple, call))
            }
        }
    }

    @Test func classesOfDataBecomeRecords() throws {
        let state = Self.ascii("}") + Self.text("side") + [UInt8(ascii: "K"), 3] + Self.ascii("s")
        let (objects, root) = try PickleReader.read(
            Self.pickle(
                Self.global("torch.nn.modules.upsampling", "Upsample"), Self.emptyTuple, [0x81], state, Self.ascii("b"))
        )
        guard case .record("torch.nn.modules.upsampling.Upsample", let found?) = objects[root] else {
            Issue.record("\(objects[root])")
            return
        }
        #expect(objects.value("side", in: found).flatMap { objects.integer($0) } == 3)
    }

    @Test func tensorsStayInsideTheirStorage() throws {
        let (objects, root) = try PickleReader.read(Self.pickle(Self.tensor(shape: [2, 3], strides: [1, 2])))
        guard case .tensor(let tensor) = objects[root] else {
            Issue.record("\(objects[root])")
            return
        }
        #expect(tensor.shape == [2, 3] && tensor.strides == [1, 2] && tensor.storage.elementCount == 6)
        let outside: [(Int, [Int], [Int])] = [
            (1, [2, 3], [3, 1]), (0, [7], [1]), (0, [2], [6]), (-1, [1], [1]), (0, [-1], [1]), (0, [2], [-1]),
            (0, [1 << 32, 1 << 32], [0, 0]), (0, [1 << 40], [0]), (6, [1], [1]), (.max, [2], [.max]), (0, [2], []),
            (0, [1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ]
        for (offset, shape, strides) in outside {
            #expect(throws: PickleError.tensorOutsideStorage(key: "0", shape: shape, elementCount: 6)) {
                try PickleReader.read(Self.pickle(Self.tensor(offset: offset, shape: shape, strides: strides)))
            }
        }
    }

    @Test func unknownStoragesAreNamed() {
        let bytes = Self.pickle(
            Self.ascii("("), Self.text("storage"), Self.global("torch", "ComplexFloatStorage"), Self.text("0"),
            Self.text("cpu"), [UInt8(ascii: "K"), 1], Self.ascii("tQ"))
        #expect(throws: PickleError.elementType("torch.ComplexFloatStorage")) { try PickleReader.read(bytes) }
    }

    @Test(
        arguments: [
            [], [0x80], [0x80, 5], [0x80, 2], ascii("."), ascii("N"), ascii("NN."), ascii("(."), ascii("0."),
            ascii("1."),
            ascii("t."), ascii("a."), ascii("Na."), ascii("]a."), ascii("(]"), ascii("]Ns."), ascii("(N]e."),
            ascii("R."), ascii("NNR."),
            ascii("b."), ascii("NNb."), ascii("h\u{0}."), ascii("q\u{0}."), ascii("NQ."), ascii("Z."),
            [0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 46], ascii("X") + [255, 255, 255, 255],
            ascii("B") + [255, 255, 255, 127],
            ascii("X") + [1, 0, 0, 0, 0xFF, 46], ascii("N.N"),
        ] as [[UInt8]])
    func whatIsNotAPickleIsRefused(_ bytes: [UInt8]) {
        #expect(throws: PickleError.self) { try PickleReader.read(bytes) }
    }

    @Test func sizesAreLimited() {
        #expect(throws: PickleError.tooLong(byteCount: 4 << 20 + 1)) {
            try PickleReader.read([UInt8](repeating: UInt8(ascii: "]"), count: 4 << 20 + 1))
        }
        #expect(throws: PickleError.tooManyObjects) {
            try PickleReader.read([UInt8](repeating: UInt8(ascii: "]"), count: 1 << 18 + 1))
        }
    }

    /// A list of 5000 references to one value, made or copied over and over in eleven bytes and less: gigabytes of memory
    /// if nobody counted.
    @Test func sharedElementsDoNotMultiplyTheMemory() {
        let count = 5000
        let pair = Self.ascii("NN") + [0x86] + Self.ascii("q\u{0}0")
        let list = Self.ascii("](") + (0..<count).flatMap { _ in Self.ascii("h\u{0}") } + Self.ascii("eq\u{1}0")
        let copies = [
            Self.ascii("h\u{2}h\u{1}") + [0x85] + Self.reduce,
            // Added to at once, so that sharing the elements would not have helped.
            Self.ascii("h\u{2}h\u{1}") + [0x85] + Self.reduce + Self.ascii("h\u{0}a"),
        ]
        let callees = [("collections", "OrderedDict"), ("torch", "Size"), ("builtins", "set")]
        for (module, name) in callees {
            let isMapping = name == "OrderedDict"
            let call = copies[isMapping ? 0 : 1]
            let start = pair + list + Self.global(module, name) + Self.ascii("q\u{2}0")
            let repeated = (0..<10_000).flatMap { _ in call }
            #expect(throws: PickleError.tooManyElements, "\(name)") {
                try PickleReader.read(Self.pickle(start, repeated))
            }
            let few = (0..<200).flatMap { _ in call + Self.ascii("0") }
            #expect(throws: Never.self, "\(name)") { try PickleReader.read(Self.pickle(start, few, Self.ascii("N"))) }
        }
        let recalled = (0..<1 << 20).flatMap { _ in Self.ascii("h\u{0}") }
        #expect(throws: PickleError.tooManyElements) {
            try PickleReader.read(Self.pickle(pair, Self.ascii("("), recalled, Self.ascii("h\u{0}t")))
        }
    }

    @Test func copiesDoNotShareTheirElements() throws {
        // a = [None]; b = torch.Size(a); b.append(True)
        let bytes = Self.pickle(
            Self.global("torch", "Size"), Self.ascii("]Naq\u{0}"), [0x85], Self.reduce, [0x88],
            Self.ascii("ah\u{0}"), [0x86])
        let (objects, root) = try PickleReader.read(bytes)
        let lists = try #require(objects.sequence(root)).map { objects.sequence($0)?.count }
        #expect(lists == [2, 1])
    }

    @Test func longNamesAreRefusedBeforeTheyAreJoined() {
        let long = String(repeating: "m", count: 257)
        for (module, name) in [(long, "n"), ("m", long)] {
            #expect(throws: PickleError.nameTooLong(byteCount: 257)) {
                try PickleReader.read(Self.pickle(Self.global(module, name)))
            }
            #expect(throws: PickleError.nameTooLong(byteCount: 257)) {
                try PickleReader.read(Self.pickle(Self.text(module), Self.text(name), [0x93]))
            }
        }
        #expect(throws: Never.self) { try PickleReader.read(Self.pickle(Self.global(String(long.dropLast()), "n"))) }
    }

    /// A thousand times the same thousand pairs, none of which is named: a thousand visits, and a million pairs.
    @Test(arguments: [false, true]) func pairsCountAsVisits(inRecords: Bool) throws {
        var opcodes = inRecords ? Self.global("torch.nn.modules", "Module") + Self.emptyTuple + [0x81] : []
        opcodes += Self.ascii("}(")
        for key in 0..<1000 { opcodes += [UInt8(ascii: "M")] + ZipBuilder.number(key, 2) + Self.ascii("N") }
        opcodes += Self.ascii(inRecords ? "ubq\u{0}0" : "uq\u{0}0") + Self.ascii("}(")
        for key in 1000..<2000 { opcodes += [0x8C, 4] + Self.ascii(String(key)) + Self.ascii("h\u{0}") }
        let (objects, root) = try PickleReader.read(Self.pickle(opcodes, Self.ascii("u")))
        #expect(throws: PyTorchFileError.Reason.nestedTooDeeply) { try objects.namedTensors(of: root) }
    }

    /// The last of equal names counts, as in Python.
    @Test func modulesHaveTheirTensorsInThreeAttributes() throws {
        func dictionary(_ name: String, _ value: [UInt8]) -> [UInt8] {
            Self.ascii("}") + Self.text(name) + value + Self.ascii("s")
        }
        let weight = Self.tensor(shape: [2, 3], strides: [3, 1])
        func module(_ attributes: [(String, [UInt8])]) -> [UInt8] {
            Self.global("torch.nn.modules", "Module") + Self.emptyTuple + [0x81] + Self.ascii("}(")
                + attributes.flatMap { Self.text($0) + $1 } + Self.ascii("ub")
        }
        let inner = module([
            ("_parameters", dictionary("old", weight)), ("training", [0x88]),
            ("_parameters", dictionary("weight", weight)), ("_buffers", dictionary("mean", weight)),
        ])
        let (objects, root) = try PickleReader.read(Self.pickle(module([("_modules", dictionary("0", inner))])))
        #expect(try objects.namedTensors(of: root).keys.sorted() == ["0.mean", "0.weight"])
    }

    @Test func aDictionaryInsideItselfEndsTheWalk() throws {
        // d = {}; d['a'] = d
        let bytes = Self.pickle(Self.ascii("}q\u{0}"), Self.text("a"), Self.ascii("h\u{0}s"))
        let (objects, root) = try PickleReader.read(bytes)
        #expect(throws: PyTorchFileError.Reason.nestedTooDeeply) { try objects.namedTensors(of: root) }
    }

    /// Fourteen levels, each with a thousand times the one below: 10⁴² paths to one tensor.
    @Test func sharedPartsDoNotMultiplyTheWalk() throws {
        var opcodes = Self.ascii("}q\u{0}0")
        for level in 1...14 {
            opcodes += Self.ascii("}(")
            for key in 1000..<2000 {
                opcodes += [0x8C, 4] + Self.ascii(String(key)) + [UInt8(ascii: "h"), UInt8(level - 1)]
            }
            opcodes += Self.ascii("u") + [UInt8(ascii: "q"), UInt8(level), UInt8(ascii: "0")]
        }
        let (objects, root) = try PickleReader.read(Self.pickle(opcodes, [UInt8(ascii: "h"), 14]))
        #expect(throws: PyTorchFileError.Reason.nestedTooDeeply) { try objects.namedTensors(of: root) }
    }

    @Test func nestingAsDeepAsThePickleIsLongNeedsNoStack() throws {
        let depth = 100_000
        let bytes = Self.pickle(
            [UInt8](repeating: UInt8(ascii: "]"), count: depth), [UInt8](repeating: UInt8(ascii: "a"), count: depth - 1)
        )
        #expect(try PickleReader.read(bytes).objects.count == depth)
    }
}
