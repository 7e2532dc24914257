// The form of a declarative file, which only its text shows (Jenkins Handbook, "Pipeline Syntax", "Declarative Pipeline"):
// blocks hold calls and, in an environment, assignments of strings and calls; no statement of Groovy but in `script`
import org.codehaus.groovy.ast.builder.AstBuilder
import org.codehaus.groovy.ast.expr.BinaryExpression
import org.codehaus.groovy.ast.expr.ClosureExpression
import org.codehaus.groovy.ast.expr.ConstantExpression
import org.codehaus.groovy.ast.expr.GStringExpression
import org.codehaus.groovy.ast.expr.MethodCallExpression
import org.codehaus.groovy.ast.stmt.ExpressionStatement
import org.codehaus.groovy.control.CompilePhase

class Form {
    // where any Groovy may stand
    static final FREE = ['script', 'expression']

    static void check(String text) {
        def top = new AstBuilder().buildFromString(CompilePhase.CONVERSION, true, text).first().statements
        def pipelines = top.findAll { called(it) == 'pipeline' }
        if (pipelines.size() != 1) { throw new Refused("one pipeline { } is wanted at the top, not ${pipelines.size()}") }
        block(pipelines.first())
    }

    static void block(ExpressionStatement statement) {
        String name = called(statement)
        statement.expression.arguments.expressions.findAll { it instanceof ClosureExpression }.each { body ->
            body.code.statements.each { line ->
                if (name in FREE) { return }
                boolean right = name == 'environment' ? assignment(line) : called(line) != null
                if (!right) { throw new Refused("line $line.lineNumber: not what may stand in $name") }
                if (name != 'environment') { block(line) }
            }
        }
    }

    static String called(statement) {
        def expression = statement instanceof ExpressionStatement ? statement.expression : null
        expression instanceof MethodCallExpression && expression.implicitThis ? expression.methodAsString : null
    }

    static boolean assignment(statement) {
        def expression = statement instanceof ExpressionStatement ? statement.expression : null
        expression instanceof BinaryExpression && expression.operation.text == '=' &&
            [ConstantExpression, GStringExpression, MethodCallExpression].any { it.isInstance(expression.rightExpression) }
    }
}
