// The steps, done for real: shells run, reports are read, files are kept and removed
import java.nio.file.FileSystems

class Steps {
    // Pipeline Steps Reference: "Pipeline: Nodes and Processes", "JUnit Plugin", "Pipeline: Basic Steps", "Workspace Cleanup
    // Plugin", "Credentials Binding Plugin", "Pipeline: Input Step", "Lockable Resources plugin"; job properties and
    // parameters: "Pipeline Syntax", "options", "parameters". With * what must be given
    static final KNOWN = [
        archiveArtifacts: 'artifacts* allowEmptyArchive caseSensitive defaultExcludes excludes fingerprint onlyIfSuccessful',
        cleanWs: 'cleanWhenAborted cleanWhenFailure cleanWhenNotBuilt cleanWhenSuccess cleanWhenUnstable deleteDirs ' +
            'disableDeferredWipeout notFailBuild patterns',
        disableConcurrentBuilds: 'abortPrevious',
        input: 'message* id ok parameters submitter submitterParameter',
        junit: 'testResults* allowEmptyResults checksName keepLongStdio skipMarkingBuildUnstable skipPublishingChecks',
        lock: 'resource* inversePrecedence label quantity variable',
        logRotator: 'artifactDaysToKeepStr artifactNumToKeepStr daysToKeepStr numToKeepStr',
        sh: 'script* encoding label returnStatus returnStdout',
        string: 'name* defaultValue description trim',
        timeout: 'time* activity unit',
        usernamePassword: 'credentialsId* usernameVariable* passwordVariable*',
    ]
    private final Build build

    Steps(Build build) { this.build = build }

    static Map known(String name, Map given) {
        def names = KNOWN[name].split(' ')
        def must = names.findAll { it.endsWith('*') }*.minus('*')
        def wrong = given.keySet() - names*.minus('*')
        if (wrong) { throw new Refused("$name: there is no ${wrong.join(', ')}") }
        if (must - given.keySet()) { throw new Refused("$name: ${(must - given.keySet()).join(', ')} is missing") }
        given
    }

    def propertyMissing(String name) {
        def value = build.variable(name)
        if (value == null) { throw new MissingPropertyException(name, Steps) }
        value
    }

    def getEnv() { build.env }

    def getParams() { build.parameters }

    void echo(message) { build.note(echo: "$message".toString()) }

    def script(Closure body) { body() }

    def sh(String script) { sh(script: script) }

    def sh(Map given) {
        known('sh', given)
        place('sh')
        if (build.dry) { return '' }
        build.note(sh: given.script.trim())
        def file = File.createTempFile('jenkins', '.sh', new File(build.request.work))
        file.text = given.script
        def console = ProcessBuilder.Redirect.appendTo(new File(build.request.console))
        // "-xe" is its default: "Shell Script"
        def shell = new ProcessBuilder('sh', '-xe', file.path).directory(build.workspace).redirectError(console)
        if (!given.returnStdout) { shell.redirectOutput(console) }
        shell.environment().clear()
        build.variables.each { shell.environment().putAll(it.findAll { it.value != null }) }
        def process = shell.start()
        def said = process.inputStream.text
        int code = process.waitFor()
        if (code == 143) { throw new Interrupted('ended from outside') }
        if (code) { throw new Failed("script returned exit code $code") }
        said
    }

    void junit(Map given) {
        known('junit', given)
        def files = matching('junit', given.testResults)
        if (!files && !given.allowEmptyResults && !build.dry) { throw new Failed('No test report files were found') }
        def suites = files.collect { new XmlSlurper().parse(it) }
        def bad = suites*.depthFirst()*.findAll { it.name() in ['failure', 'error'] }.flatten().size()
        build.note(junit: files*.name.sort(), bad: bad)
        if (bad) { build.worsen('UNSTABLE') }
    }

    void archiveArtifacts(Map given) {
        known('archiveArtifacts', given)
        def files = matching('archiveArtifacts', given.artifacts)
        if (!files && !given.allowEmptyArchive && !build.dry) { throw new Failed('No artifacts found') }
        build.note(kept: files.collect { build.workspace.toPath().relativize(it.toPath()).toString() }.sort())
    }

    void cleanWs(Map given = [:]) {
        known('cleanWs', given)
        place('cleanWs')
        if (!build.dry) { build.workspace.deleteDir() }
    }

    Map usernamePassword(Map given) { known('usernamePassword', given) }

    def withCredentials(List<Map> bindings, Closure body) {
        def given = bindings.collectEntries {
            def found = secret(it.credentialsId)
            [(it.usernameVariable): found.username, (it.passwordVariable): found.password]
        }
        build.setting(given, body)
    }

    Map secret(String id) {
        build.note(credentials: id)
        def found = build.request.credentials[id]
        if (!found) { throw new Failed("Could not find credentials entry with ID '$id'") }
        found
    }

    // "Attempted to execute a step that requires a node context while 'agent none' was specified"
    private void place(String step) {
        if (build.workspace == null) { throw new Refused("$step: needs an agent") }
    }

    // of Ant's patterns those that glob's mean alike
    private List<File> matching(String step, String patterns) {
        place(step)
        def matchers = patterns.split(/, */).collect { FileSystems.default.getPathMatcher("glob:$it") }
        def found = []
        if (!build.dry) {
            build.workspace.eachFileRecurse { file ->
                def path = build.workspace.toPath().relativize(file.toPath())
                if (file.file && matchers.any { it.matches(path) }) { found << file }
            }
        }
        found
    }
}
