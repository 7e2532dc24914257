// Runs a Jenkinsfile as Jenkins would, without Jenkins: compiled by groovyc, `groovy -cp DIR -e 'Run.main(args)' REQUEST ..`.
// What happens is noted in the request's file `record`, a line of JSON each. What our Jenkinsfile does not use is refused
import groovy.json.JsonSlurper
import org.codehaus.groovy.control.CompilationFailedException
import org.codehaus.groovy.control.CompilerConfiguration

args.each { name ->
    def build = new Build(new JsonSlurper().parse(new File(name)))
    try {
        def text = new File(build.request.file).text
        Form.check(text)
        def configuration = new CompilerConfiguration(scriptBaseClass: Globals.name)
        new GroovyShell(Globals.classLoader, new Binding(build: build), configuration).evaluate(text, 'Jenkins.groovy')
    } catch (Refused | CompilationFailedException | MissingMethodException | MissingPropertyException error) {
        build.always(refused: error.message)
    }
}
